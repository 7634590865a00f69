-- Storefront's rows: about one million at scale 1, the same ones on every server and version.
--
-- The scale is the setting storefront.scale (default 1.0): `set storefront.scale = '0.01'` in the same
-- session makes about ten thousand. Load it once into a fresh schema, best in one transaction.
-- Everything is arithmetic on row numbers: no random(), whose sequence differs between versions, and no clock.
-- Foreign keys and secondary indexes are taken off for the load and put back, with every row checked, which takes
-- half the time; triggers and all other constraints stay on.

-- Means of the generator; they live in pg_temp and are dropped at the end ----------------------

-- How many rows a table gets: base at scale 1, never fewer than the floor.
create function pg_temp.size(base bigint, floor bigint default 1) returns bigint
language sql immutable as $$
    select greatest(
        floor,
        round(base * coalesce(nullif(current_setting('storefront.scale', true), ''), '1.0')::numeric)::bigint
    )
$$;

-- A number in 0..below that looks random; the same (row, salt) always gives the same. Three rounds
-- modulo different primes, each below 2^31, so that nothing overflows and neighbours do not resemble.
create function pg_temp.pick(i bigint, salt bigint, below bigint) returns bigint
language sql immutable as $$
    select ((i * 1103515245 + salt * 740803 + 12345) % 2147483647 * 69069 % 2147483629 * 48271 % 2147483587) % below
$$;

-- The same with few favourites: low numbers come up far more often.
create function pg_temp.pick_skewed(i bigint, salt bigint, below bigint) returns bigint
language sql immutable as $$
    select pg_temp.pick(i, salt, pg_temp.pick(i, salt + 1, below) + 1)
$$;

-- An instant of the two years that the shop has been open.
create function pg_temp.instant(i bigint, salt bigint) returns timestamptz
language sql immutable as $$
    select timestamptz '2024-01-01 00:00:00+00' + pg_temp.pick(i, salt, 63072000) * interval '1 second'
$$;

create function pg_temp.adjective(i bigint) returns text language sql immutable as $$
    select ('{Quiet,Bright,Sturdy,Folding,Winter,Summer,Linen,Copper,Walnut,Northern,Little,Grand,Everyday,Travel,'
        'Garden,Classic,Feather,Silver,Woven,Coastal,Alpine,Velvet,Ceramic,Hidden,Morning,Evening,Amber}'::text[])[1 + i % 27]
$$;

create function pg_temp.noun(i bigint) returns text language sql immutable as $$
    select ('{lamp,chair,jacket,kettle,backpack,blanket,notebook,clock,bottle,desk,tent,mug,scarf,radio,basket,'
        'mirror,stool,knife,pan,rug,shelf,vase,boot,glove,candle,puzzle,speaker,charger,helmet}'::text[])[1 + i % 29]
$$;

create function pg_temp.first_name(i bigint) returns text language sql immutable as $$
    select ('{Ada,Bruno,Chiara,David,Elif,Farah,Goran,Hanna,Ivan,Jana,Kofi,Lena,Marta,Nils,Olga,Pablo,Quentin,'
        'Rosa,Samir,Tove,Uma,Viktor,Wanda}'::text[])[1 + i % 23]
$$;

create function pg_temp.last_name(i bigint) returns text language sql immutable as $$
    select ('{Andersen,Becker,Costa,Dubois,Eriksen,Fischer,Garcia,Horvat,Ionescu,Jansen,Kowalski,Larsen,Moretti,'
        'Novak,Okafor,Petrov,Rossi,Schmidt,Tanaka}'::text[])[1 + i % 19]
$$;

create function pg_temp.city(i bigint) returns text language sql immutable as $$
    select ('{Aarhus,Bergen,Cologne,Dublin,Essen,Florence,Ghent,Hamburg,Innsbruck,Jena,Krakow,Lyon,Malmo}'::text[])[1 + i % 13]
$$;

create function pg_temp.country(i bigint) returns text language sql immutable as $$
    select ('{DE,FR,IT,NL,PL,ES,DK}'::text[])[1 + i % 7]
$$;

-- Foreign keys and secondary indexes step aside -----------------------------------------------

create temp table storefront_aside as
select 1 as step,
       format('alter table %s drop constraint %I', c.conrelid::regclass, c.conname) as remove,
       format('alter table %s add constraint %I %s', c.conrelid::regclass, c.conname, pg_get_constraintdef(c.oid)) as restore
from pg_constraint c
where c.contype = 'f' and c.conparentid = 0 and c.connamespace = current_schema::regnamespace
union all
select 0, format('drop index %s', i.indexrelid::regclass), pg_get_indexdef(i.indexrelid)
from pg_index i
join pg_class r on r.oid = i.indrelid
where r.relnamespace = current_schema::regnamespace
  and r.relkind = 'r'
  and not r.relispartition
  and not i.indisreplident
  and not exists (select from pg_constraint c where c.conindid = i.indexrelid);

do $$
declare
    statement text;
begin
    for statement in select remove from storefront_aside order by step, remove loop
        execute statement;
    end loop;
end
$$;

-- Stock, first part -----------------------------------------------------------------------------

insert into supplier (id, name, country, contact_email, lead_time_days, rating, active, created_at)
select i,
       pg_temp.last_name(i) || ' ' || pg_temp.noun(i) || ' supply ' || i,
       pg_temp.country(i),
       'sales@supplier' || i || '.example',
       3 + pg_temp.pick(i, 1, 60),
       (20 + pg_temp.pick(i, 2, 31))::real / 10,
       i % 15 <> 0,
       pg_temp.instant(i, 3)
from generate_series(1, pg_temp.size(120, 6)) i;

-- Catalog ---------------------------------------------------------------------------------------

insert into brand (id, name, slug, supplier_id, website, created_at, updated_at)
select i,
       pg_temp.adjective(i) || ' & ' || pg_temp.last_name(i / 27 + i) || ' ' || i,
       'brand-' || i,
       case when i % 10 <> 0 then 1 + pg_temp.pick(i, 4, pg_temp.size(120, 6)) end,
       'https://brand' || i || '.example',
       pg_temp.instant(i, 5),
       timestamptz '2026-01-01 00:00:00+00'
from generate_series(1, pg_temp.size(400, 8)) i;

-- Twelve roots; the others hang below a category with a smaller number.
insert into category (id, parent_id, name, slug, position)
select i,
       case when i > 12 then 1 + pg_temp.pick(i, 6, i / 3) end,
       pg_temp.adjective(i) || ' ' || pg_temp.noun(i) || 's',
       'category-' || i,
       i % 12
from generate_series(1, pg_temp.size(300, 20)) i;

-- One description in twenty is long enough to be stored out of line.
insert into product (
    id, public_id, brand_id, name, slug, summary, description, status, channels, tags, attributes,
    list_price, tax_rate, launched_on, created_at, updated_at
)
select i,
       md5('product ' || i)::uuid,
       1 + pg_temp.pick_skewed(i, 7, pg_temp.size(400, 8)),
       pg_temp.adjective(pg_temp.pick(i, 9, 27)) || ' ' || pg_temp.noun(pg_temp.pick(i, 10, 29)) || ' ' || i,
       'product-' || i,
       'A ' || lower(pg_temp.adjective(i)) || ' ' || pg_temp.noun(i) || ' for the ' || pg_temp.noun(i + 7),
       case
           when i % 20 = 0 then (
               select string_agg(md5(i || ':' || k), ' ') from generate_series(1, 160) k
           )
           when i % 20 < 16 then repeat(pg_temp.adjective(i) || ' ' || pg_temp.noun(i + 3) || ', well made. ', 6)
       end,
       (case when i % 25 = 0 then 'draft' when i % 25 = 1 then 'retired' else 'active' end)::product_status,
       (case when i % 3 = 0 then '{web,app}' when i % 7 = 0 then '{web,app,store}' else '{web}' end)::sales_channel[],
       array[pg_temp.noun(pg_temp.pick(i, 11, 29)), lower(pg_temp.adjective(pg_temp.pick(i, 12, 27))), 'line' || i % 90],
       jsonb_build_object(
           'material', pg_temp.noun(i + 5), 'warranty_months', 12 * (1 + i % 4), 'eco', i % 3 = 0,
           'care', jsonb_build_array('wipe', i % 5)
       ),
       (500 + pg_temp.pick(i, 13, 40000))::numeric / 100,
       (case when i % 6 = 0 then 7 else 19 end),
       case when i % 25 <> 0 then date '2024-01-01' + pg_temp.pick(i, 14, 730)::integer end,
       pg_temp.instant(i, 15),
       timestamptz '2026-01-01 00:00:00+00'
from generate_series(1, pg_temp.size(30000)) i;

insert into product_variant (
    id, product_id, sku, title, options, price, cost, size, weight_g, barcode, discontinued_at, created_at, updated_at
)
select i,
       1 + (i - 1) % pg_temp.size(30000),
       'SF-' || lpad(i::text, 8, '0'),
       (array['Small', 'Medium', 'Large', 'Set'])[1 + i % 4] || ', ' || lower(pg_temp.adjective(i)),
       jsonb_build_object('colour', pg_temp.adjective(i + 4), 'size', i % 4),
       (500 + pg_temp.pick(i, 16, 40000))::numeric / 100,
       (200 + pg_temp.pick(i, 17, 300))::numeric / 100,
       case when i % 8 <> 0 then row(50 + i % 900, 40 + i % 500, 10 + i % 300)::dimensions end,
       100 + pg_temp.pick(i, 18, 9000),
       case when i % 4 <> 0 then '40' || lpad(i::text, 11, '0') end,
       case when i % 40 = 0 then pg_temp.instant(i, 19) end,
       pg_temp.instant(i, 20),
       timestamptz '2026-01-01 00:00:00+00'
from generate_series(1, pg_temp.size(75000)) i;

-- Each product in two categories, one fixed by its number and one farther along.
insert into product_category (product_id, category_id, featured)
select p, 1 + (p + k * (1 + p % 5)) % pg_temp.size(300, 20), (p + k) % 10 = 0
from generate_series(1, pg_temp.size(30000)) p, generate_series(0, 1) k;

-- One variant in five was on offer for its first year, and is again.
insert into price (id, variant_id, amount, valid, created_at)
select 2 * k + n - 2,
       5 * k,
       (450 + pg_temp.pick(2 * k + n, 21, 40000))::numeric / 100,
       case n
           when 1 then tstzrange('2024-01-01 00:00:00+00', '2025-01-01 00:00:00+00')
           else tstzrange('2025-06-01 00:00:00+00', null)
       end,
       timestamptz '2024-01-01 00:00:00+00'
from generate_series(1, pg_temp.size(75000) / 5) k, generate_series(1, 2) n;

insert into product_image (id, product_id, url, alt, position, width_px, height_px, thumbnail, created_at)
select i,
       1 + (i - 1) % pg_temp.size(30000),
       'https://images.storefront.example/' || md5('image ' || i) || '.jpg',
       case when i % 3 <> 0 then 'A ' || pg_temp.noun(i) || ' from the ' || (array['front', 'side', 'back'])[1 + i % 3] end,
       (i - 1) / pg_temp.size(30000),
       800 + 400 * (i % 3),
       600 + 300 * (i % 3),
       case when i % 4 = 0 then decode(repeat(md5('pixels ' || i), 6), 'hex') end,
       pg_temp.instant(i, 22)
from generate_series(1, pg_temp.size(60000)) i;

insert into product_review (id, product_id, customer_id, rating, title, body, helpful_votes, created_at)
select i,
       1 + pg_temp.pick_skewed(i, 23, pg_temp.size(30000)),
       case when i % 50 <> 0 then 1 + pg_temp.pick(i, 25, pg_temp.size(30000)) end,
       5 - pg_temp.pick_skewed(i, 26, 5),
       (array['Lovely', 'As described', 'Would buy again', 'Not for me', 'Does its job'])[1 + i % 5],
       case when i % 3 <> 0 then 'We use the ' || pg_temp.noun(i) || ' every ' || lower(pg_temp.adjective(i)) || ' day.' end,
       pg_temp.pick_skewed(i, 28, 60),
       pg_temp.instant(i, 30)
from generate_series(1, pg_temp.size(60000)) i;

-- Customers -------------------------------------------------------------------------------------

insert into customer (
    id, email, full_name, phone_numbers, preferences, marketing_opt_in, born_on, closed_at, created_at, updated_at
)
overriding system value
select i,
       lower(pg_temp.first_name(i)) || '.' || i || '@mail.example',
       pg_temp.first_name(i) || ' ' || pg_temp.last_name(pg_temp.pick(i, 31, 19)),
       case when i % 3 = 0 then array['+49 30 ' || 100000 + i, '+49 171 ' || 200000 + i] else '{}' end,
       jsonb_build_object('language', lower(pg_temp.country(i)), 'newsletter', i % 4 = 0),
       i % 4 = 0,
       case when i % 5 <> 0 then date '1940-01-01' + pg_temp.pick(i, 32, 24000)::integer end,
       case when i % 97 = 0 then timestamptz '2025-12-01 00:00:00+00' end,
       pg_temp.instant(i, 33),
       timestamptz '2026-01-01 00:00:00+00'
from generate_series(1, pg_temp.size(30000)) i;

insert into address (id, customer_id, label, lines, postal_code, city, country, location, created_at)
select i,
       1 + (i - 1) % pg_temp.size(30000),
       case when i > pg_temp.size(30000) then 'work' else 'home' end,
       case
           when i % 6 = 0 then array['c/o ' || pg_temp.last_name(i), pg_temp.noun(i) || ' street ' || 1 + i % 180]
           else array[pg_temp.noun(i) || ' street ' || 1 + i % 180]
       end,
       lpad(pg_temp.pick(i, 34, 99999)::text, 5, '0'),
       pg_temp.city(i),
       pg_temp.country(i),
       case when i % 2 = 0 then point(4 + i % 20, 44 + i % 12) end,
       pg_temp.instant(i, 35)
from generate_series(1, pg_temp.size(42000)) i;

insert into customer_login (id, customer_id, logged_in_at, ip, user_agent, succeeded)
select i,
       1 + pg_temp.pick_skewed(i, 36, pg_temp.size(30000)),
       pg_temp.instant(i, 38),
       inet '10.0.0.0' + pg_temp.pick(i, 39, 16777216),
       case when i % 10 <> 0 then 'Browser/' || 100 + i % 40 end,
       i % 12 <> 0
from generate_series(1, pg_temp.size(80000)) i;

-- Orders ----------------------------------------------------------------------------------------

insert into coupon (id, code, discount, category_id, usable, max_uses)
overriding system value
select i,
       upper(pg_temp.noun(i)) || i,
       5 + 5 * (i % 5),
       case when i % 2 = 0 then 1 + pg_temp.pick(i, 40, pg_temp.size(300, 20)) end,
       daterange(date '2024-01-01' + (i % 600)::integer, date '2024-03-01' + (i % 600)::integer),
       case when i % 3 = 0 then 1000 end
from generate_series(1, pg_temp.size(200, 10)) i;

-- An order's second address is its customer's first: their numbers are equal.
insert into orders (
    id, number, customer_id, shipping_address_id, coupon_id, status, shipping_fee, channel, note, placed_at, updated_at
)
overriding system value
select i,
       'SO-' || lpad(i::text, 9, '0'),
       1 + pg_temp.pick(i, 41, pg_temp.size(30000)),
       1 + pg_temp.pick(i, 41, pg_temp.size(30000)),
       case when i % 9 = 0 then 1 + pg_temp.pick(i, 42, pg_temp.size(200, 10)) end,
       (case
           when i % 30 = 0 then 'cancelled'
           when i % 30 = 1 then 'placed'
           when i % 30 = 2 then 'paid'
           when i % 30 < 6 then 'shipped'
           else 'delivered'
       end)::order_status,
       case when i % 4 = 0 then 0 else 4.90 end,
       (case when i % 5 = 0 then 'app' when i % 17 = 0 then 'store' else 'web' end)::sales_channel,
       case when i % 20 = 0 then 'Leave it with the neighbour' end,
       pg_temp.instant(i, 43),
       timestamptz '2026-01-01 00:00:00+00'
from generate_series(1, pg_temp.size(60000)) i;

-- One to three lines each; variants with low numbers sell best.
insert into order_line (order_id, line_no, variant_id, quantity, unit_price)
select o,
       l,
       1 + pg_temp.pick_skewed(o * 4 + l, 44, pg_temp.size(75000)),
       1 + pg_temp.pick_skewed(o * 4 + l, 46, 4),
       (500 + pg_temp.pick(o * 4 + l, 48, 40000))::numeric / 100
from generate_series(1, pg_temp.size(60000)) o, generate_series(1, 1 + o % 3) l;

-- The trigger on orders has written the first event of each; these are the ones between.
insert into order_event (order_id, status, detail, created_at)
select o.id,
       s.status,
       case when s.step = 1 then jsonb_build_object('from', 'placed') end,
       o.placed_at + s.step * interval '7 hours'
from orders o,
     (values (1, 'paid'::order_status), (2, 'shipped'::order_status)) s (step, status)
where o.status <> 'cancelled' and s.status < o.status;

insert into payment (id, order_id, method, amount, reference, captured_at)
overriding system value
select i,
       i,
       (array['card', 'transfer', 'wallet'])[1 + i % 3],
       (500 + pg_temp.pick(i, 49, 60000))::numeric / 100,
       md5('payment ' || i)::uuid,
       case when i % 30 > 1 then pg_temp.instant(i, 43) + interval '7 hours' end
from generate_series(1, pg_temp.size(60000)) i;

insert into refund (id, order_id, line_no, amount, reason, created_at)
overriding system value
select i,
       o,
       1,
       (100 + pg_temp.pick(i, 50, 400))::numeric / 100,
       case when i % 3 = 0 then 'Arrived broken' end,
       pg_temp.instant(o, 43) + interval '9 days'
from generate_series(1, pg_temp.size(60000) / 20) i, lateral (select i * 20 as o) n;

insert into cart (id, customer_id, expires_at, created_at)
select md5('cart ' || i)::uuid,
       case when i % 3 <> 0 then 1 + pg_temp.pick(i, 51, pg_temp.size(30000)) end,
       timestamptz '2026-01-01 00:00:00+00' + pg_temp.pick(i, 52, 2592000) * interval '1 second',
       timestamptz '2025-12-01 00:00:00+00' + pg_temp.pick(i, 52, 2592000) * interval '1 second'
from generate_series(1, pg_temp.size(10000)) i;

insert into cart_line (cart_id, variant_id, quantity, added_at)
select md5('cart ' || i)::uuid,
       1 + (pg_temp.pick(i, 53, pg_temp.size(75000)) + k * 17) % pg_temp.size(75000),
       1 + i % 3,
       timestamptz '2025-12-01 00:00:00+00' + pg_temp.pick(i, 52, 2592000) * interval '1 second'
from generate_series(1, pg_temp.size(10000)) i, generate_series(0, 1) k;

-- Stock, second part ----------------------------------------------------------------------------

insert into warehouse (id, code, name, country)
overriding system value
select i, 'WH' || lpad(i::text, 2, '0'), pg_temp.city(i) || ' hall ' || i, pg_temp.country(i)
from generate_series(1, 8) i;

insert into stock_level (variant_id, warehouse_id, on_hand, reserved, reorder_at, updated_at)
select v,
       1 + pg_temp.pick(v, 54, 8),
       pg_temp.pick(v, 55, 400),
       pg_temp.pick(v, 56, 4),
       5 + v % 20,
       timestamptz '2026-01-01 00:00:00+00'
from generate_series(1, pg_temp.size(75000)) v;

insert into stock_movement (id, variant_id, warehouse_id, order_id, quantity, reason, created_at)
overriding system value
select i,
       1 + pg_temp.pick_skewed(i, 57, pg_temp.size(75000)),
       1 + pg_temp.pick(i, 59, 8),
       case when i % 2 = 0 then 1 + pg_temp.pick(i, 60, pg_temp.size(60000)) end,
       case when i % 2 = 0 then -1 - i % 3 else 20 + i % 30 end,
       (case when i % 2 = 0 then 'sale' when i % 9 = 0 then 'return' else 'receipt' end)::movement_reason,
       timestamptz '2024-01-01 00:00:00+00' + i * (interval '730 days' / pg_temp.size(50000))
from generate_series(1, pg_temp.size(50000)) i;

insert into purchase_order (id, supplier_id, warehouse_id, ordered_on, due_on, received_at)
select i,
       1 + pg_temp.pick(i, 61, pg_temp.size(120, 6)),
       1 + pg_temp.pick(i, 62, 8),
       date '2024-01-01' + pg_temp.pick(i, 63, 700)::integer,
       date '2024-01-01' + pg_temp.pick(i, 63, 700)::integer + 21,
       case when i % 10 <> 0 then timestamptz '2024-01-20 09:00:00+00' + pg_temp.pick(i, 63, 700) * interval '1 day' end
from generate_series(1, pg_temp.size(3000)) i;

insert into purchase_order_line (purchase_order_id, variant_id, quantity, unit_cost)
select o,
       1 + (pg_temp.pick(o, 64, pg_temp.size(75000)) + k * 11) % pg_temp.size(75000),
       10 * (1 + (o + k) % 12),
       (20000 + pg_temp.pick(o * 4 + k, 65, 300000))::numeric / 10000
from generate_series(1, pg_temp.size(3000)) o, generate_series(0, 3) k;

-- Indexes and foreign keys come back -----------------------------------------------------------

do $$
declare
    statement text;
begin
    for statement in select restore from storefront_aside order by step, restore loop
        execute statement;
    end loop;
end
$$;

drop table storefront_aside;

-- Sequences go on where the rows end ------------------------------------------------------------

select setval(pg_get_serial_sequence('supplier', 'id'), (select max(id) from supplier));
select setval(pg_get_serial_sequence('brand', 'id'), (select max(id) from brand));
select setval(pg_get_serial_sequence('category', 'id'), (select max(id) from category));
select setval(pg_get_serial_sequence('product', 'id'), (select max(id) from product));
select setval(pg_get_serial_sequence('product_variant', 'id'), (select max(id) from product_variant));
select setval(pg_get_serial_sequence('price', 'id'), (select max(id) from price));
select setval(pg_get_serial_sequence('product_image', 'id'), (select max(id) from product_image));
select setval(pg_get_serial_sequence('product_review', 'id'), (select max(id) from product_review));
select setval(pg_get_serial_sequence('customer', 'id'), (select max(id) from customer));
select setval(pg_get_serial_sequence('address', 'id'), (select max(id) from address));
select setval(pg_get_serial_sequence('customer_login', 'id'), (select max(id) from customer_login));
select setval(pg_get_serial_sequence('coupon', 'id'), (select max(id) from coupon));
select setval(pg_get_serial_sequence('orders', 'id'), (select max(id) from orders));
select setval(pg_get_serial_sequence('payment', 'id'), (select max(id) from payment));
select setval(pg_get_serial_sequence('refund', 'id'), (select max(id) from refund));
select setval(pg_get_serial_sequence('warehouse', 'id'), (select max(id) from warehouse));
select setval(pg_get_serial_sequence('stock_movement', 'id'), (select max(id) from stock_movement));
select setval(pg_get_serial_sequence('purchase_order', 'id'), (select max(id) from purchase_order));
select setval('sku_number_seq', (select max(id) from product_variant));
select setval('order_number_seq', (select max(id) from orders));

refresh materialized view daily_sales;

drop function pg_temp.size(bigint, bigint);
drop function pg_temp.instant(bigint, bigint);
drop function pg_temp.pick_skewed(bigint, bigint, bigint);
drop function pg_temp.pick(bigint, bigint, bigint);
drop function pg_temp.adjective(bigint);
drop function pg_temp.noun(bigint);
drop function pg_temp.first_name(bigint);
drop function pg_temp.last_name(bigint);
drop function pg_temp.city(bigint);
drop function pg_temp.country(bigint);

-- A quarter of the usual sample is enough for rows as even as these.
set default_statistics_target = 25;
analyze brand, category, product, product_variant, product_category, price, product_image, product_review,
    customer, address, customer_login,
    coupon, orders, order_line, order_event, payment, refund, cart, cart_line, daily_sales,
    supplier, warehouse, stock_level, stock_movement, purchase_order, purchase_order_line;
reset default_statistics_target;
