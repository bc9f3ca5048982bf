"""News: feeds are read, compared with the stored articles, analysed, and staged for the gate."""
