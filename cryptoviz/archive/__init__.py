"""What has left the database, as Parquet files with a catalogue: written, compared, listed, verified, restored."""
