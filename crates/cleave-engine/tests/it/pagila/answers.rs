//! What Pagila's views and functions answer: every row, or the SQLSTATE with which they fail.

use std::collections::BTreeMap;
use tokio_postgres::Client;

/// The seven views and how they are read. `group_concat` aggregates in no order, so the parts of its text are sorted;
/// rows are compared in the order in which they come only where the view has one.
const VIEWS: [(&str, &str); 7] = [
    (
        "actor_info",
        "select actor_id, first_name, last_name,
             array(select part from regexp_split_to_table(film_info, ', |: ') part order by part collate \"C\")
         from actor_info order by actor_id",
    ),
    ("customer_list", "select * from customer_list order by id"),
    ("film_list", FILM_LIST),
    ("nicer_but_slower_film_list", NICER_FILM_LIST),
    ("sales_by_film_category", "select * from sales_by_film_category"),
    ("sales_by_store", "select * from sales_by_store"),
    ("staff_list", "select * from staff_list order by id"),
];

const FILM_LIST: &str = "select fid, title, description, category, price, length, rating,
         array(select part from regexp_split_to_table(actors, ', ') part order by part collate \"C\")
     from film_list order by fid, category";

const NICER_FILM_LIST: &str = "select fid, title, description, category, price, length, rating,
         array(select part from regexp_split_to_table(actors, ', ') part order by part collate \"C\")
     from nicer_but_slower_film_list order by fid, category";

/// Every function, called such that it has something to say.
const CALLS: [(&str, &str); 14] = [
    ("_group_concat", "select _group_concat('a', 'b')"),
    (
        "film_in_stock",
        "select film_id, array(select film_in_stock(film_id, 1) order by 1) from film order by 1",
    ),
    ("film_not_in_stock", "select n, film_not_in_stock(n, 2) from generate_series(1, 200) n order by 1, 2"),
    ("get_customer_balance", "select get_customer_balance(1, now())"),
    ("group_concat", "select group_concat(title order by film_id) from film"),
    ("group_concat", "select group_concat(distinct name) from category"),
    ("inventory_held_by_customer", "select n, inventory_held_by_customer(n) from generate_series(1, 300) n"),
    ("inventory_in_stock", "select n, inventory_in_stock(n) from generate_series(1, 300) n"),
    ("last_day", "select last_day('2020-02-02'), last_day('2021-12-31')"),
    ("last_updated", "select last_updated()"),
    ("rewards_report", "select * from rewards_report(1, 1.00) order by customer_id"),
    ("rewards_report", "select * from rewards_report(0, 1.00)"),
    ("rewards_report", "select * from rewards_report(1, 0.00)"),
    ("film_in_stock", "select count(*) from film_in_stock(1, 1)"),
];

/// By the text of the query: its rows, or the SQLSTATE.
pub(crate) type Answers = BTreeMap<&'static str, Result<Vec<String>, String>>;

/// A view or function of Pagila that nobody asks is a failure of these tests.
pub(crate) async fn assert_all_are_asked(client: &Client) {
    let views = "select relname from pg_class where relkind = 'v' and relnamespace = 'public'::regnamespace";
    assert_eq!(names(client, views).await, unique(VIEWS.iter().map(|(name, _)| *name)));
    let functions = "select proname from pg_proc where pronamespace = 'public'::regnamespace";
    assert_eq!(names(client, functions).await, unique(CALLS.iter().map(|(name, _)| *name)));
}

/// Asks everything there is.
pub(crate) async fn answers(client: &Client) -> Answers {
    let mut answers = Answers::new();
    for (_, query) in VIEWS.iter().chain(&CALLS) {
        let rows = client.query(&format!("select answer::text from ({query}) answer"), &[]).await;
        let answer = match rows {
            Ok(rows) => Ok(rows.iter().map(|row| row.get(0)).collect()),
            Err(error) => Err(error.code().map_or_else(|| error.to_string(), |code| code.code().to_owned())),
        };
        answers.insert(query, answer);
    }
    answers
}

/// Names what differs; the answers themselves are too long to be shown.
pub(crate) fn assert_same(now: &Answers, before: &Answers, when: &str) {
    for (query, answer) in now {
        let expected = &before[query];
        let first = match (answer, expected) {
            (Ok(now), Ok(before)) => {
                let pair = now.iter().zip(before).find(|(now, before)| now != before);
                format!("{} rows, were {}; {pair:?}", now.len(), before.len())
            }
            _ => format!("{answer:.200?}, was {expected:.200?}"),
        };
        assert!(answer == expected, "{when}: {query}\n{first}");
    }
}

async fn names(client: &Client, query: &str) -> Vec<String> {
    let rows = client.query(&format!("select name::text from ({query}) n (name)"), &[]).await.unwrap();
    let mut names: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    names.sort();
    names.dedup();
    names
}

fn unique<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}
