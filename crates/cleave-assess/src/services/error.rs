//! What is asked for and cannot be had.

use cleave_model::{QualifiedName, ServiceName};

/// Why no services are recommended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServicesError {
    /// A wish names a table that is not there or that no service is proposed for.
    UnknownTable {
        /// As it was named.
        table: QualifiedName,
        /// The table that is meant, perhaps.
        nearest: Option<QualifiedName>,
    },
    /// There are more tables than can be weighed against each other.
    TooManyTables {
        /// Tables.
        tables: usize,
        /// The most.
        most: usize,
    },
    /// Wishes contradict each other.
    Contradiction {
        /// One of the two tables.
        one: QualifiedName,
        /// The other.
        other: QualifiedName,
    },
    /// A table is in two services already.
    InTwoServices {
        /// The table.
        table: QualifiedName,
        /// One of them.
        one: ServiceName,
        /// The other.
        other: ServiceName,
    },
    /// The number of services cannot be reached.
    Count {
        /// Services asked for.
        wanted: usize,
        /// The nearest number that can be had.
        nearest: usize,
    },
    /// There is nothing to place.
    NoTables,
}

impl ServicesError {
    /// The code of its page in docs/explain.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownTable { .. } => "C1020",
            Self::TooManyTables { .. } => "C1021",
            Self::Contradiction { .. } | Self::InTwoServices { .. } => "C1022",
            Self::Count { .. } => "C1023",
            Self::NoTables => "C1024",
        }
    }

    /// What can be done about it.
    pub fn hint(&self) -> String {
        match self {
            Self::UnknownTable { nearest: Some(nearest), .. } => format!("{nearest} is there"),
            Self::UnknownTable { nearest: None, .. } => {
                "name it as schema.table; partitions, views and foreign tables are not placed".to_owned()
            }
            Self::TooManyTables { .. } => {
                "look at a part: --schema NAME, once for each schema that hangs together".to_owned()
            }
            Self::Contradiction { .. } => {
                "take one of --must-link, --cannot-link and --seed-service back".to_owned()
            }
            Self::InTwoServices { .. } => "leave it in one of them".to_owned(),
            Self::Count { nearest, .. } => format!("ask for {nearest}, or take --services away"),
            Self::NoTables => "name a database that has tables, or other schemas".to_owned(),
        }
    }
}

impl std::fmt::Display for ServicesError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UnknownTable { table, .. } => write!(f, "there is no table {table} to place"),
            Self::TooManyTables { tables, most } => {
                write!(f, "{tables} tables are more than the {most} that can be weighed against each other")
            }
            Self::Contradiction { one, other } => {
                write!(f, "{one} and {other} shall be together and apart at once")
            }
            Self::InTwoServices { table, one, other } => {
                write!(f, "{table} is in service {one} and in service {other}")
            }
            Self::Count { wanted, nearest } => {
                let noun = if *wanted == 1 { "service" } else { "services" };
                write!(f, "{wanted} {noun} cannot be made of these tables and wishes, {nearest} can")
            }
            Self::NoTables => write!(f, "there is no table to place"),
        }
    }
}

impl std::error::Error for ServicesError {}
