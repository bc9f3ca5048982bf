-- Guids and links that are no identity, and the address of each revision, by which an article keeps its name.

create table shared_article_names (
    website text not null,
    name text not null,
    first_seen timestamptz not null,
    primary key (website, name)
);

alter table article_revisions
    add column url text;
update article_revisions revision set url = news.url
from all_news news
where news.website = revision.website and news.article_id = revision.article_id and not exists (
    select from article_revisions other
    where other.website = revision.website and other.article_id = revision.article_id
      and other.revision <> revision.revision);
