//! What happens to a view alone, or to its table alone, is seen or stopped.

use super::shop::{CUTOVER, Shop, customers};
use crate::cinema::number;
use cleave_engine::Verb;
use cleave_sandbox::Version;

async fn moved(version: Version, keys: &str) -> Shop {
    let shop = Shop::new(version, &customers(keys)).await;
    shop.apply(&shop.first()).await.unwrap();
    shop.switch(&shop.first(), CUTOVER).await;
    shop
}

/// Code and message of what `status` shows.
async fn problems(shop: &Shop) -> Vec<String> {
    let status = shop.status(&shop.first()).await;
    status.problems.iter().map(|problem| format!("{} {}", problem.code, problem.message)).collect()
}

#[tokio::test]
async fn what_was_changed_on_one_of_both_is_shown_by_status() {
    for version in [Version::V14, Version::V18] {
        let shop = moved(version, "bridge = \"view\"\nguard = \"off\"").await;
        let client = shop.client().await;
        let invoker = version != Version::V14;
        assert_eq!(problems(&shop).await, Vec::<String>::new());
        let reset = if invoker { "alter view public.note reset (security_invoker);" } else { "" };
        client
            .batch_execute(&format!(
                "alter table public.customer rename column name to called;
                 alter table public.customer alter column mood set default 'sad';
                 alter table customers.customer add column more text default 'm';
                 grant select on public.note to {0};
                 revoke insert on customers.event_old from {1};
                 drop view public.event_new;
                 {reset}
                 create table public.event_2030 partition of customers.event for values from ('2030-01-01') to ('2031-01-01');
                 do $do$ begin execute format('alter role {1} in database %I set search_path = public', current_database()); end $do$",
                shop.reader, shop.app
            ))
            .await
            .unwrap();
        let said = problems(&shop).await.join("\n");
        let mut expected = vec![
            "C1125 view public.customer calls a column called, which customers.customer does not".to_owned(),
            "C1125 column mood has another default in view public.customer than in customers.customer"
                .to_owned(),
            "C1125 view public.customer does not show column more of customers.customer".to_owned(),
            format!("C1126 view public.note and customers.note differ in SELECT of {}", shop.reader),
            format!("C1126 view public.event_old and customers.event_old differ in INSERT of {}", shop.app),
            "C1124 the view public.event_new is gone: qualified names meet nothing".to_owned(),
            "C1128 partition public.event_2030 of customers.event was made beside its schema".to_owned(),
            format!(
                "C1129 the search path of role {} does not name schema customers before public",
                shop.app
            ),
        ];
        if invoker {
            expected.push(
                "C1126 view public.note: security_invoker is gone, so that row-level security is passed by"
                    .to_owned(),
            );
        }
        for line in &expected {
            assert!(said.contains(line.as_str()), "{version:?}: not said: {line}\n{said}");
        }
        assert_eq!(said.lines().count(), expected.len(), "{said}");
    }
}

#[tokio::test]
async fn a_table_under_an_old_name_where_nothing_should_stand_is_an_error() {
    let shop = moved(Version::V16, "bridge = \"path\"").await;
    assert_eq!(problems(&shop).await, Vec::<String>::new());
    shop.client().await.batch_execute("create table public.note (id int)").await.unwrap();
    assert_eq!(
        problems(&shop).await,
        [
            "C1127 something stands under the old name public.note again: qualified names meet it, not customers.note"
        ]
    );
    let error = shop.verb(&shop.first(), Verb::Rollback { dry_run: false }).await.unwrap_err();
    assert_eq!(error.code(), "C1127", "{error}");
}

#[tokio::test]
async fn statements_that_would_change_a_view_alone_are_answered_with_the_new_name() {
    for version in [Version::V14, Version::V18] {
        let shop = moved(version, "bridge = \"view\"").await;
        let client = shop.client().await;
        for statement in [
            "alter table public.customer add column more text",
            "alter table only public . \"customer\" drop column mood",
            "create index on public.customer (name)",
            "alter table public.customer rename column name to called",
            "alter table public.customer alter column mood set default 'sad'",
            "alter view public.customer owner to current_user",
            "create rule r as on insert to public.customer do instead nothing",
            "drop table if exists public.customer",
            "create policy p on public.customer",
            "create trigger t after insert on public.customer for each statement execute function touch()",
        ] {
            let error = client.batch_execute(statement).await.unwrap_err();
            let error = error.as_db_error().unwrap_or_else(|| panic!("{statement}"));
            assert_eq!(
                (error.message(), error.hint()),
                (
                    "public.customer stands in for customers.customer, which moved with service customers: nothing was changed",
                    Some("Run it on customers.customer.")
                ),
                "{version:?} {statement}"
            );
        }
        client
            .batch_execute(
                "alter table customers.customer add column more text;
                 alter table customers.customer drop column more;
                 alter table invoice add column public_customer int;
                 create index on invoice (customer_id);
                 create table public.customer2 (id int);
                 alter table public.customer2 add column more text",
            )
            .await
            .unwrap();
        shop.verb(&shop.first(), Verb::Complete).await.unwrap();
        assert_eq!(number(&client, "select count(*) from pg_event_trigger").await, 0);
    }
}

#[tokio::test]
async fn a_view_that_somebody_has_made_over_a_view_of_ours_is_named_before_it_would_fall() {
    let shop = moved(Version::V17, "bridge = \"view\"").await;
    let client = shop.client().await;
    client
        .batch_execute("create view public.sad as select * from public.customer where mood = 'sad'")
        .await
        .unwrap();
    for verb in [Verb::Rollback { dry_run: false }, Verb::Complete] {
        let error = shop.verb(&shop.first(), verb).await.unwrap_err();
        assert_eq!(error.code(), "C1121");
        assert!(
            error.to_string().contains("view sad on public.customer")
                || error.to_string().contains("public.sad"),
            "{error}"
        );
    }
    client
        .batch_execute(
            "create or replace view public.sad as select * from customers.customer where mood = 'sad'",
        )
        .await
        .unwrap();
    shop.verb(&shop.first(), Verb::Complete).await.unwrap();
    assert_eq!(number(&client, "select count(*) from public.sad").await, 0);
}
