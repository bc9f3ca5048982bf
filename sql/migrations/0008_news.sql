-- What the news remembers between polls: every revision of an article, the state of each feed, what robots may read.

create table article_revisions (
    website text not null,
    article_id text not null,
    revision integer not null check (revision >= 1),
    digest text not null,
    published_at timestamptz not null,
    title text not null,
    first_seen timestamptz not null,
    primary key (website, article_id, revision),
    unique (website, article_id, digest)
);
create index article_revisions_seen on article_revisions (first_seen desc);

create table news_feed_states (
    name text not null primary key,
    url text not null,
    etag text not null default '',
    last_modified text not null default '',
    checked_at timestamptz not null,
    succeeded_at timestamptz,
    status text not null,
    reason text not null default '',
    failures integer not null default 0 check (failures >= 0),
    not_before timestamptz
);

create table robots_cache (
    origin text not null primary key,
    body text not null,
    fetched_at timestamptz not null,
    expires_at timestamptz not null
);
