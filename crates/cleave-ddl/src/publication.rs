//! The publication that a stream reads.

use cleave_model::{Direction, QualifiedName, ServiceName, labels};

/// Publishes exactly these tables: the roots, whose partitions come along leaf by leaf. A partition that is attached
/// later is published too, so a guard has to watch for it.
pub fn create(service: &ServiceName, direction: Direction, tables: &[QualifiedName]) -> String {
    let name = labels::publication(service, direction).quoted();
    let tables: Vec<String> = tables.iter().map(QualifiedName::quoted).collect();
    format!(
        "create publication {name} for table {} with (publish_via_partition_root = false)",
        tables.join(", ")
    )
}

/// Drops it; no error if it is gone.
pub fn drop(service: &ServiceName, direction: Direction) -> String {
    format!("drop publication if exists {}", labels::publication(service, direction).quoted())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publication_names_its_tables_and_publishes_leaf_by_leaf() {
        let service = ServiceName::parse("films").unwrap();
        let tables = [QualifiedName::new("public", "film"), QualifiedName::new("public", "Odd one")];
        assert_eq!(
            create(&service, Direction::Forward, &tables),
            "create publication \"cleave_films_forward\" for table \"public\".\"film\", \"public\".\"Odd one\" \
             with (publish_via_partition_root = false)"
        );
        assert_eq!(drop(&service, Direction::Back), "drop publication if exists \"cleave_films_back\"");
    }
}
