//! What cannot be carried is refused by name.

use crate::ddl::carrying::read;
use crate::ddl::servers::Database;
use cleave_ddl::{Target, carry};
use cleave_model::QualifiedName;
use cleave_sandbox::Version;

const ODD: &str = "
    create type pair as (a int, b int);
    create table parent (a int primary key);
    create table heir () inherits (parent);
    create unlogged table fast (a int primary key);
    create table typed of pair;
    create table ruled (a int primary key);
    create rule r as on delete to ruled do instead nothing;
    create function stamp() returns trigger language plpgsql as
        $$ begin insert into public.ruled values (1); return new; end $$;
    create table always (a int primary key);
    create trigger t after insert on always for each row execute function stamp();
    alter table always enable always trigger t;
    create table rowtyped (a int primary key, p parent);
    create table part (a int primary key) partition by range (a);
    create table part_1 partition of part for values from (1) to (2);
    create sequence shared;
    create table moves (a int primary key default nextval('shared'));
    create table stays (a int primary key default nextval('shared'), b int default nextval('shared'::text));
    create collation own (locale = 'C');
    create table collated (a text collate own);
    create foreign data wrapper w;
    create server s foreign data wrapper w;
    create foreign table far (a int) server s;
    create function shape() returns setof moves language sql begin atomic select * from moves; end;
    create schema other;
    create table other.elsewhere (a int primary key)";

#[tokio::test]
async fn every_object_kind_that_is_not_known_is_refused_by_name() {
    for version in Version::ALL {
        let database = Database::new(version).await;
        database.run(ODD).await;
        let catalog = read(&database).await;
        let names = [
            "heir", "fast", "typed", "ruled", "always", "rowtyped", "part_1", "moves", "collated", "far",
            "gone",
        ];
        let roots: Vec<_> = names.iter().map(|name| QualifiedName::new("public", *name)).collect();
        let found: Vec<String> =
            carry(&catalog, &roots).unsupported.iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "table public.gone does not exist",
                "collation own is needed by table public.collated",
                "column public.rowtyped.p has the row type parent",
                "rule r on public.ruled cannot be carried",
                "sequence public.shared is shared with table public.stays, which stays",
                "table public.far is a foreign table",
                "table public.fast is unlogged: its changes are not in the log that a move follows",
                "table public.heir inherits from public.parent",
                "table public.part_1 is a partition of public.part, which is not part of the move",
                "table public.typed is a typed table (of pair)",
                "trigger t of public.always also fires for replicated changes, so it would act twice",
            ],
            "{version:?}"
        );
        let text = carry(&catalog, &[QualifiedName::new("public", "stays")]).unsupported;
        assert!(text.iter().any(|no| no.reason.contains("names a relation by text")), "{text:?}");

        let roots = [QualifiedName::new("public", "always"), QualifiedName::new("other", "elsewhere")];
        let carried = carry(&catalog, &roots);
        let target = Target { source_schema: &"public".into(), schema: &"home".into(), extra_path: &[] };
        let found: Vec<String> = target.refuse(&carried).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "function public.stamp() names schema public in its body; without the prefix it would find the tables \
                 in home too",
                "table other.elsewhere stands in another schema than the service's other tables (public)",
            ]
        );
    }
}
