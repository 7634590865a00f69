-- Reads only: a visitor looks at a product and its variants, a clerk at an order.
-- weight: 15
-- writes: nothing
-- token: none
-- param: product_id bigint
-- param: order_id bigint
-- ;;
-- args: product_id
select id, name, list_price, status, tags, attributes from product where id = $1::bigint
-- ;;
-- args: product_id
select id, sku, title, price, margin from product_variant where product_id = $1::bigint
-- ;;
-- args: order_id
select number, status, full_name, city, items, total from order_summary where id = $1::bigint
