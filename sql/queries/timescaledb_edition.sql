-- The edition of this database (community, apache or plain), the extension's version, and the server's.
SELECT CASE
           WHEN extversion IS NULL THEN 'plain'
           WHEN current_setting('timescaledb.license', true) = 'apache' THEN 'apache'
           ELSE 'community'
       END AS edition,
       coalesce(extversion, '') AS extension, current_setting('server_version') AS server
FROM (SELECT max(extversion) AS extversion FROM pg_extension WHERE extname = 'timescaledb') AS extension
