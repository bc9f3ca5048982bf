-- Whether rows of an imported file wait in quarantine for a decision. Parameters: file.
SELECT EXISTS (
    SELECT FROM quarantine
    WHERE released_at IS NULL AND discarded_at IS NULL AND origin ->> 'file' = %(file)s
)
