//! `cleave assess services` and `cleave assess table`.

use crate::Report;
use serde::Serialize;

/// Services that a database's tables could be, in up to three ways.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ServicesReport {
    /// The database, as it calls itself.
    pub database: String,
    /// Tables that were placed; partitions count as their root.
    pub tables: u64,
    /// What the answer rests on.
    pub evidence: EvidenceSummary,
    /// Where chance began; the same seed gives the same answer.
    pub seed: u64,
    /// The alternative that is shown to people.
    pub shown: String,
    /// From coarse to fine.
    pub alternatives: Vec<ServicesAlternative>,
    /// Tables that so many others refer to that they are identity which all services share.
    pub hubs: Vec<HubTable>,
    /// Pairs of columns that refer to rows of several tables.
    pub polymorphic: Vec<PolymorphicReference>,
    /// Tables that no service is proposed for.
    pub aside: Vec<AsideTable>,
}

impl Report for ServicesReport {
    const KIND: &'static str = "assess-services";
}

/// What was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EvidenceSummary {
    /// Declared keys between two tables.
    pub keys: u64,
    /// Keys that nobody declared, and whose sampled values are all there.
    pub implied_keys: u64,
    /// Keys that names and types imply and that no sample could prove: no rows, no right to read, no time.
    pub implied_keys_unproven: u64,
    /// Keys that names imply and a sample refuted.
    pub implied_keys_refuted: u64,
    /// Functions whose bodies were read.
    pub functions: u64,
    /// Functions that could not be read in full: written in C, or statements made at run time.
    pub functions_unread: Vec<String>,
    /// Where statements and transactions were seen; empty if nobody looked.
    pub workload: Vec<String>,
    /// Statements that were seen.
    pub statements: u64,
    /// Statements that could not be read.
    pub statements_unread: u64,
    /// Kinds of transaction that were seen.
    pub transactions: u64,
    /// Pairs of tables that something ties.
    pub pairs: u64,
}

/// One way to cut.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ServicesAlternative {
    /// `coarse`, `balanced` or `fine`.
    pub grain: String,
    /// How far the runs agreed, 100 if all found the same.
    pub stability_percent: u64,
    /// The services, largest first.
    pub services: Vec<ProposedService>,
    /// Tables that nothing ties to any other.
    pub unassigned: Vec<String>,
    /// Tables that a person should decide about, the least sure first.
    pub unsure: Vec<UnsureTable>,
    /// Tables that several services share row by row.
    pub splits: Vec<ProposedSplit>,
    /// What would cross.
    pub price: BoundaryPrice,
}

/// A service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ProposedService {
    /// Its name.
    pub name: String,
    /// True if it was decided before: in cleave.toml, or on the command line.
    pub decided: bool,
    /// Its tables, by name.
    pub tables: Vec<ProposedTable>,
}

/// A table in a service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ProposedTable {
    /// The table.
    pub table: String,
    /// Partitions that go with it.
    pub partitions: u64,
    /// The share of runs in which it was with the others of its service.
    pub confidence_percent: u64,
}

/// A table whose place is not sure.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct UnsureTable {
    /// The table.
    pub table: String,
    /// Where it is.
    pub service: String,
    /// The share of runs for that.
    pub confidence_percent: u64,
    /// What holds it where it is, then what pulls it elsewhere.
    pub pulls: Vec<ServicePull>,
}

/// What ties a table to a service.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ServicePull {
    /// The service.
    pub service: String,
    /// The share of runs in which the table was with it.
    pub share_percent: u64,
    /// Weight of all ties together.
    pub weight: f64,
    /// The heaviest ties.
    pub ties: Vec<TableTie>,
}

/// A reason why two tables belong together.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TableTie {
    /// The other table.
    pub table: String,
    /// `key`, `written together`, `view`, ...
    pub kind: String,
    /// What was seen.
    pub seen: String,
    /// Its weight.
    pub weight: f64,
}

/// A table that could be split by owner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ProposedSplit {
    /// The table.
    pub table: String,
    /// Tables whose rows own its rows.
    pub owners: Vec<ProposedOwner>,
    /// Rows of owners to one row of the table, in hundredths; null if PostgreSQL has no estimate.
    pub owners_per_row_percent: Option<u64>,
}

/// An owner of rows of another table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ProposedOwner {
    /// The column or columns that refer, as `[splits.*]` takes them: `public.customer.address_id`.
    pub reached_by: String,
    /// The service of the table that they are in.
    pub service: Option<String>,
}

/// Everything that would cross between services.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BoundaryPrice {
    /// Keys that the database would no longer hold.
    pub keys: Vec<CutKey>,
    /// Transactions that write in several services.
    pub transactions: Vec<CutUse>,
    /// Statements that touch tables of several services.
    pub joins: Vec<CutUse>,
    /// Functions that touch tables of several services.
    pub functions: Vec<CutObject>,
    /// Triggers of one service's tables that touch another's.
    pub triggers: Vec<CutObject>,
    /// Views over tables of several services.
    pub views: Vec<CutObject>,
}

/// A key between two services.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CutKey {
    /// `public.orders(customer_id) to public.customer`.
    pub key: String,
    /// The constraint; null for a key that nobody declared.
    pub constraint: Option<String>,
    /// The service of the table that refers.
    pub from: String,
    /// The service that is referred to.
    pub to: String,
    /// `no action`, `cascade`, ...
    pub on_delete: String,
    /// True if a hub is referred to.
    pub to_hub: bool,
    /// What can take its place.
    pub remedy: String,
}

/// A transaction or statement over several services.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CutUse {
    /// The statement's text without its constants; null for transactions.
    pub text: Option<String>,
    /// How often it was seen.
    pub count: u64,
    /// Tables written.
    pub writes: Vec<String>,
    /// Tables read.
    pub reads: Vec<String>,
    /// The services.
    pub services: Vec<String>,
    /// What can take its place.
    pub remedy: String,
}

/// A function, trigger or view over several services.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CutObject {
    /// What it is called.
    pub object: String,
    /// The services.
    pub services: Vec<String>,
    /// What can take its place.
    pub remedy: String,
}

/// A table that many refer to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HubTable {
    /// The table.
    pub table: String,
    /// Tables that refer to it.
    pub referring: u64,
    /// True if most tables do: a tenant, an account.
    pub universal: bool,
}

/// Columns that refer to rows of several tables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PolymorphicReference {
    /// The table.
    pub table: String,
    /// The column that says which table.
    pub type_column: String,
    /// The column that says which row.
    pub id_column: String,
}

/// A table that is not placed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AsideTable {
    /// The table.
    pub table: String,
    /// Why.
    pub reason: String,
}

/// Why a table is where it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TableReport {
    /// The table.
    pub table: String,
    /// Its service; null if nothing ties it to any other table.
    pub service: Option<String>,
    /// The share of runs for that.
    pub confidence_percent: u64,
    /// True if it is a hub.
    pub hub: bool,
    /// What pulls at it, its own service first.
    pub pulls: Vec<ServicePull>,
    /// All that ties it to others, the heaviest first.
    pub neighbours: Vec<TableNeighbour>,
}

impl Report for TableReport {
    const KIND: &'static str = "assess-table";
}

/// Another table and what ties it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TableNeighbour {
    /// The other table.
    pub table: String,
    /// Its service.
    pub service: Option<String>,
    /// Weight of all reasons together.
    pub weight: f64,
    /// The reasons, the heaviest first.
    pub ties: Vec<TableTie>,
}
