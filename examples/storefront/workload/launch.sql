-- Both sides in one transaction: a new product with one variant, its place in a category and the shop's own first
-- review, and then the stock of that variant, which refers to a row that the same transaction has just written.
-- Ids, the article number and everything else that has a default are left to the database.
-- weight: 10
-- writes: catalog, staying
-- token: product_review, stock_movement
-- param: token text, a new uuid for each transaction
-- param: brand_id bigint
-- param: category_id bigint
-- param: warehouse_id bigint
-- param: cents bigint
-- ;;
-- args: brand_id, token, cents
-- gives: product_id
insert into product (brand_id, name, slug, summary, status, tags, attributes, list_price, launched_on)
values ($1::bigint, 'New arrival', 'new-' || $2::text, 'Unpacked this minute', 'active',
        '{new}', '{"season": "now"}', $3::bigint / 100.0, current_date)
returning id
-- ;;
-- args: product_id, cents
-- gives: variant_id
insert into product_variant (product_id, title, price, cost, size, weight_g)
values ($1::bigint, 'One size', $2::bigint / 100.0, $2::bigint / 200.0, '(300,200,100)', 850)
returning id
-- ;;
-- args: product_id, category_id
insert into product_category (product_id, category_id) values ($1::bigint, $2::bigint)
-- ;;
-- args: product_id, token
insert into product_review (product_id, rating, title, token)
values ($1::bigint, 5, 'Our pick of the week', $2::text::uuid)
-- ;;
-- args: variant_id, warehouse_id
insert into stock_level (variant_id, warehouse_id, on_hand) values ($1::bigint, $2::bigint, 40)
-- ;;
-- args: variant_id, warehouse_id, token
insert into stock_movement (variant_id, warehouse_id, quantity, reason, token)
values ($1::bigint, $2::bigint, 40, 'receipt', $3::text::uuid)
