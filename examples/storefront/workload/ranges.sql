-- The ranges that the workload's parameters are drawn from, read once before it starts.
-- One row per parameter: its name, its lowest and its highest value. Ids within them exist, but for
-- finished_price_id: ten times as wide as the ids in use, so that only some deletes find a row.
select 'customer_id' as param, 1::bigint as low, max(id)::bigint as high from customer
union all
select 'order_id', 1, max(id) from orders
union all
select 'brand_id', 1, max(id) from brand
union all
select 'category_id', 1, max(id) from category
union all
select 'warehouse_id', 1, max(id) from warehouse
union all
select 'product_id', 1, max(id) from product
union all
select 'repriced_product_id', 1, max(id) from product
union all
select 'variant_id', 1, max(id) from product_variant
union all
select 'other_variant_id', 1, max(id) from product_variant
union all
select 'finished_price_id', 1, max(id) * 10 from price
union all
select 'rating', 1, 5
union all
select 'quantity', 1, 4
union all
select 'cents', 500, 40000
