//! Services that people chose.

/// Services and their tables.
pub(super) type Services = &'static [(&'static str, &'static [&'static str])];

/// As examples/storefront/README.md has them.
pub(super) const STOREFRONT: Services = &[
    (
        "catalog",
        &[
            "brand",
            "category",
            "product",
            "product_variant",
            "product_category",
            "price",
            "product_image",
            "product_review",
        ],
    ),
    ("customers", &["customer", "address", "customer_login"]),
    ("orders", &["coupon", "orders", "order_line", "order_event", "payment", "refund", "cart", "cart_line"]),
    (
        "stock",
        &["supplier", "warehouse", "stock_level", "stock_movement", "purchase_order", "purchase_order_line"],
    ),
];

/// As articles that split Pagila by hand have them; `address` is left out, as three of them own it row by row.
pub(super) const PAGILA: Services = &[
    ("common", &["city", "country"]),
    ("customers", &["customer"]),
    ("films", &["actor", "category", "film", "film_actor", "film_category", "language"]),
    ("staff", &["staff"]),
    ("stores", &["inventory", "store"]),
    ("sales", &["payment", "rental"]),
];
