-- What the shop's application does in an hour, statement by statement: for assessing the database, not for running.
-- A transaction begins with its name and how often it is executed; $1, $2 stand for values.

-- transaction: show a product
-- count: 42000
select p.id, p.name, p.summary, p.description, p.list_price, b.name from product p join brand b on b.id = p.brand_id where p.slug = $1;
select v.id, v.sku, v.title, v.price, pr.amount from product_variant v left join price pr on pr.variant_id = v.id and pr.valid @> now() where v.product_id = $1;
select url, alt from product_image where product_id = $1 order by position;
select rating, title, body from product_review where product_id = $1 order by created_at desc limit 10;
select variant_id, sum(on_hand - reserved) from stock_level where variant_id = any($1) group by variant_id;

-- transaction: list a category
-- count: 25000
select id, name, slug from category where parent_id = $1 order by position;
select p.id, p.name, p.slug, p.list_price from product p join product_category pc on pc.product_id = p.id where pc.category_id = $1 and p.status = 'active' limit 40;

-- transaction: search
-- count: 11000
select * from search_products($1);

-- transaction: log in
-- count: 6000
select id, full_name, closed_at from customer where lower(email) = lower($1);
insert into customer_login (customer_id, ip, user_agent, succeeded) values ($1, $2, $3, $4);

-- transaction: register
-- count: 300
insert into customer (email, full_name, marketing_opt_in) values ($1, $2, $3) returning id;
insert into address (customer_id, label, lines, postal_code, city, country) values ($1, $2, $3, $4, $5, $6);

-- transaction: change an address
-- count: 450
select id, full_name from customer where id = $1;
update address set lines = $2, postal_code = $3, city = $4 where id = $1;

-- transaction: change preferences
-- count: 500
update customer set preferences = $2, marketing_opt_in = $3 where id = $1;

-- transaction: put into the cart
-- count: 9000
insert into cart (customer_id) values ($1) returning id;
select price, title from product_variant where id = $1;
insert into cart_line (cart_id, variant_id, quantity) values ($1, $2, $3) on conflict (cart_id, variant_id) do update set quantity = excluded.quantity;

-- transaction: show the cart
-- count: 12000
select l.variant_id, l.quantity from cart c join cart_line l on l.cart_id = c.id where c.id = $1;
select id, title, price from product_variant where id = any($1);

-- transaction: check out
-- count: 1800
select l.variant_id, l.quantity from cart c join cart_line l on l.cart_id = c.id where c.id = $1;
select id, lines, city from address where customer_id = $1;
select id, discount, max_uses from coupon where code = $1 and usable @> current_date;
insert into orders (customer_id, shipping_address_id, coupon_id, channel) values ($1, $2, $3, $4) returning id;
insert into order_line (order_id, line_no, variant_id, quantity, unit_price) values ($1, $2, $3, $4, $5);
delete from cart_line where cart_id = $1;
delete from cart where id = $1;
update stock_level set reserved = reserved + $3 where variant_id = $1 and warehouse_id = $2;

-- transaction: pay
-- count: 1700
insert into payment (order_id, method, amount, captured_at) values ($1, $2, $3, now());
update orders set status = 'paid' where id = $1;

-- transaction: ship
-- count: 1600
select order_id, line_no, variant_id, quantity from order_line where order_id = $1;
insert into stock_movement (variant_id, warehouse_id, order_id, quantity, reason) values ($1, $2, $3, $4, 'sale');
update stock_level set on_hand = on_hand - $3, reserved = reserved - $3 where variant_id = $1 and warehouse_id = $2;
update orders set status = 'shipped' where id = $1;

-- transaction: refund
-- count: 120
select o.id, l.line_no, l.line_total from orders o join order_line l on l.order_id = o.id where o.id = $1;
insert into refund (order_id, line_no, amount, reason) values ($1, $2, $3, $4);
update orders set note = $2 where id = $1;

-- transaction: show my orders
-- count: 5000
select o.id, o.number, o.status, o.placed_at, sum(l.line_total) from orders o join order_line l on l.order_id = o.id where o.customer_id = $1 group by o.id;
select status, created_at from order_event where order_id = $1 order by created_at;

-- transaction: review
-- count: 200
insert into product_review (product_id, customer_id, rating, title, body) values ($1, $2, $3, $4, $5) returning id;

-- transaction: moderate a review
-- count: 60
update product_review set helpful_votes = helpful_votes + 1 where id = $1;

-- transaction: edit a product
-- count: 400
update product set name = $2, summary = $3, tags = $4 where id = $1;
update product_variant set price = $2, updated_at = now() where product_id = $1;
insert into product_image (product_id, url, position) values ($1, $2, $3);

-- transaction: launch a product
-- count: 40
select id from brand where slug = $1;
insert into product (brand_id, name, slug, list_price) values ($1, $2, $3, $4) returning id;
insert into product_variant (product_id, title, price) values ($1, $2, $3) returning id;
insert into product_category (product_id, category_id) values ($1, $2);
insert into price (variant_id, amount, valid) values ($1, $2, $3);

-- transaction: add a brand
-- count: 3
insert into brand (name, slug, supplier_id) values ($1, $2, $3);

-- transaction: rearrange categories
-- count: 10
update category set parent_id = $2, position = $3 where id = $1;
update product_category set featured = $3 where product_id = $1 and category_id = $2;

-- transaction: change prices
-- count: 150
update price set valid = tstzrange(lower(valid), now()) where variant_id = $1 and valid @> now();
insert into price (variant_id, amount, valid) values ($1, $2, tstzrange(now(), null));
update product_variant set price = $2 where id = $1;

-- transaction: order from a supplier
-- count: 70
select id, name, lead_time_days from supplier where active;
select id, code from warehouse;
insert into purchase_order (supplier_id, warehouse_id, due_on) values ($1, $2, $3) returning id;
insert into purchase_order_line (purchase_order_id, variant_id, quantity, unit_cost) values ($1, $2, $3, $4);

-- transaction: receive goods
-- count: 140
select l.variant_id, l.quantity from purchase_order o join purchase_order_line l on l.purchase_order_id = o.id where o.id = $1;
update purchase_order set received_at = now() where id = $1;
insert into stock_movement (variant_id, warehouse_id, quantity, reason) values ($1, $2, $3, 'receipt');
insert into stock_level (variant_id, warehouse_id, on_hand) values ($1, $2, $3) on conflict (variant_id, warehouse_id) do update set on_hand = stock_level.on_hand + excluded.on_hand;

-- transaction: look at the deliveries of the day
-- count: 300
select o.id, o.due_on, s.name, w.code from purchase_order o join supplier s on s.id = o.supplier_id join warehouse w on w.id = o.warehouse_id where o.due_on = current_date and o.received_at is null;
select l.variant_id, l.quantity, s.on_hand from purchase_order_line l left join stock_level s on s.variant_id = l.variant_id and s.warehouse_id = $2 where l.purchase_order_id = $1;

-- transaction: see what runs short
-- count: 120
select warehouse, sku, on_hand, reorder_at from low_stock where warehouse_id = $1;
select supplier, sku, quantity, expected_on from reorder_list where supplier_id = $1;

-- transaction: follow an item through the warehouses
-- count: 150
select m.created_at, m.quantity, m.reason, w.code from stock_movement m join warehouse w on w.id = m.warehouse_id where m.variant_id = $1 order by m.created_at desc;

-- transaction: count the shelves
-- count: 200
select s.variant_id, s.on_hand, w.code from stock_level s join warehouse w on w.id = s.warehouse_id where s.warehouse_id = $1;
update stock_level set on_hand = $3 where variant_id = $1 and warehouse_id = $2;
insert into stock_movement (variant_id, warehouse_id, quantity, reason) values ($1, $2, $3, 'correction');

-- transaction: rate a supplier
-- count: 5
select s.id, s.name, avg(o.received_at::date - o.due_on) from supplier s join purchase_order o on o.supplier_id = s.id group by s.id;
update supplier set rating = $2 where id = $1;

-- transaction: issue a coupon
-- count: 8
insert into coupon (code, discount, category_id, usable) values ($1, $2, $3, $4);

-- transaction: forget old carts
-- count: 24
delete from cart_line where cart_id in (select id from cart where expires_at < now());
delete from cart where expires_at < now();
