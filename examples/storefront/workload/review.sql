-- Catalog only: a customer reviews a product, an editor changes the price of another one, and an offer that
-- has ended is forgotten. The review's id is left to the database.
-- weight: 40
-- writes: catalog
-- token: product_review
-- param: token text, a new uuid for each transaction
-- param: product_id bigint
-- param: customer_id bigint
-- param: rating bigint
-- param: repriced_product_id bigint
-- param: cents bigint
-- param: finished_price_id bigint
-- ;;
-- args: product_id, customer_id, rating, token
-- gives: review_id
insert into product_review (product_id, customer_id, rating, title, body, token)
values ($1::bigint, $2::bigint, $3::bigint, 'Just arrived', 'Written while the shop was open.', $4::text::uuid)
returning id
-- ;;
-- args: repriced_product_id, cents
update product set list_price = $2::bigint / 100.0 where id = $1::bigint
-- ;;
-- args: finished_price_id
delete from price where id = $1::bigint and not upper_inf(valid)
