-- Whether an article's time is its publisher's word. Of what is stored that is noted where it is certain: a first revision
-- without a date had the time at which it was first seen. What is cold already stays null.

alter table article_data
    add column published_known boolean;
alter table cold_storage.article_data
    add column published_known boolean;

update article_data article set published_known = false
from article_revisions revision
where revision.website = article.website and revision.article_id = article.article_id and revision.revision = 1
  and revision.published_at = revision.first_seen and article."timestamp" = revision.published_at;

create or replace view all_news as
select "timestamp", website, article_id, title, url, summary, cryptocurrencies_mentioned, sentiment_score,
       sentiment_label, revision, received_at, 'hot' as tier, published_known
from article_data
union all
select "timestamp", website, article_id, title, url, summary, cryptocurrencies_mentioned, sentiment_score,
       sentiment_label, revision, received_at, 'cold' as tier, published_known
from cold_storage.article_data;
