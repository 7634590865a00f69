-- Staying tables only: a customer orders two existing variants, pays, and the first line's stock leaves the hall.
-- weight: 35
-- writes: staying
-- token: stock_movement
-- param: token text, a new uuid for each transaction
-- param: customer_id bigint
-- param: variant_id bigint
-- param: other_variant_id bigint
-- param: warehouse_id bigint
-- param: quantity bigint
-- param: cents bigint
-- ;;
-- args: customer_id
-- gives: order_id
insert into orders (customer_id, shipping_address_id, shipping_fee, channel)
values ($1::bigint, $1::bigint, 4.90, 'app')
returning id
-- ;;
-- args: order_id, variant_id, quantity, cents, other_variant_id
insert into order_line (order_id, line_no, variant_id, quantity, unit_price)
values ($1::bigint, 1, $2::bigint, $3::bigint, $4::bigint / 100.0),
       ($1::bigint, 2, $5::bigint, 1, $4::bigint / 50.0)
-- ;;
-- args: order_id, variant_id, warehouse_id, quantity, token
insert into stock_movement (order_id, variant_id, warehouse_id, quantity, reason, token)
values ($1::bigint, $2::bigint, $3::bigint, -$4::bigint, 'sale', $5::text::uuid)
-- ;;
-- args: order_id
update orders set status = 'paid' where id = $1::bigint
