//! What `assess services` and `assess table` have in common: which database, and how services are sought.

use crate::cli::WorkloadSources;
use crate::context::Context;
use crate::failure::Failure;
use crate::observed::{self, Chosen};
use crate::work;
use cleave_api::{ExitCode, Problem};
use cleave_assess::services::{Grain, Wishes};
use cleave_config::{Config, TablePattern};
use cleave_engine::{Look, Looked, look};
use cleave_model::{QualifiedName, ServiceName};

/// How services are sought.
#[derive(Clone, Debug, clap::Args)]
pub struct WishArgs {
    /// The database to look at: a name in cleave.toml, or a URL, with which no configuration file is needed
    #[arg(long, value_name = "NAME|URL")]
    pub database: Option<String>,

    /// Look at this schema only; can be given several times
    #[arg(long = "schema", value_name = "NAME")]
    pub schemas: Vec<String>,

    /// How finely to cut: fewer and larger services, what is recommended, or more and smaller ones
    #[arg(long, value_enum, value_name = "GRAIN", default_value_t = GrainChoice::Balanced)]
    pub alternative: GrainChoice,

    /// Find exactly so many services
    #[arg(long, value_name = "COUNT", conflicts_with = "alternative")]
    pub services: Option<usize>,

    /// Keep two tables together; can be given several times
    #[arg(long, value_name = "TABLE,TABLE")]
    pub must_link: Vec<String>,

    /// Keep two tables apart; can be given several times
    #[arg(long, value_name = "TABLE,TABLE")]
    pub cannot_link: Vec<String>,

    /// A service that is decided, with tables of it; others may join it. Those of cleave.toml are decided too
    #[arg(long, value_name = "NAME=TABLE,...")]
    pub seed_service: Vec<String>,

    /// Leave the services of cleave.toml aside, as if nothing had been decided
    #[arg(long)]
    pub afresh: bool,

    /// Where chance begins; the same seed gives the same answer
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,

    /// Read no rows: columns that may be keys are not tried on samples
    #[arg(long)]
    pub no_samples: bool,

    /// Where statements and transactions are read.
    #[command(flatten)]
    pub workload: WorkloadSources,
}

/// How finely to cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum GrainChoice {
    /// Fewer and larger services
    Coarse,
    /// What is recommended
    Balanced,
    /// More and smaller services
    Fine,
}

impl GrainChoice {
    /// The same for the assessment.
    pub fn grain(self) -> Grain {
        match self {
            Self::Coarse => Grain::Coarse,
            Self::Balanced => Grain::Balanced,
            Self::Fine => Grain::Fine,
        }
    }
}

/// A database that has been looked at, and what is wished.
pub struct Assessed {
    /// What is known of it.
    pub looked: Looked,
    /// How services are sought.
    pub wishes: Wishes,
    /// cleave.toml, if the database was named by it.
    pub config: Option<Config>,
}

/// Looks at the database.
///
/// # Errors
/// Arguments that cannot be read, and what looking says.
pub async fn assess(arguments: &WishArgs, context: &Context) -> Result<Assessed, Failure> {
    let mut wishes = Wishes {
        seed: arguments.seed,
        services: arguments.services,
        together: arguments.must_link.iter().map(|text| pair(text)).collect::<Result<_, _>>()?,
        apart: arguments.cannot_link.iter().map(|text| pair(text)).collect::<Result<_, _>>()?,
        decided: arguments.seed_service.iter().map(|text| seed_service(text)).collect::<Result<_, _>>()?,
    };
    let how = Look {
        schemas: arguments.schemas.clone(),
        without_samples: arguments.no_samples,
        workload: arguments.workload.options(),
    };
    match observed::choose(arguments.database.as_deref(), context)? {
        Chosen::Url(site) => {
            let looked = look(&site.endpoint, &how, &work::events(context).0).await?;
            Ok(Assessed { looked, wishes, config: None })
        }
        Chosen::Named(work, name) => {
            let site = work.topology.site(&name)?;
            let looked = look(&site.endpoint, &how, &work.events).await?;
            if !arguments.afresh {
                wishes.decided.extend(looked.decided(&work.topology, &name)?);
            }
            Ok(Assessed { looked, wishes, config: Some(work.loaded.config.clone()) })
        }
    }
}

/// A table's name; one without a schema is in `public`.
///
/// # Errors
/// C1020 for a text that names no table.
pub fn table(text: &str) -> Result<QualifiedName, Failure> {
    let text = text.trim();
    let exact = |text: &str| TablePattern::parse(text).ok().and_then(|pattern| pattern.exact());
    exact(text).or_else(|| exact(&format!("public.{text}"))).ok_or_else(|| {
        Problem::error("C1020", format!("{text} is no name of a table"))
            .hint("write table or schema.table, in double quotes where PostgreSQL needs them")
            .exit(ExitCode::Usage)
            .into()
    })
}

fn pair(text: &str) -> Result<(QualifiedName, QualifiedName), Failure> {
    match text.split(',').collect::<Vec<_>>().as_slice() {
        [one, other] => Ok((table(one)?, table(other)?)),
        _ => Err(wrong(format!("{text} is no pair of tables"), "write two tables with a comma between them")),
    }
}

fn seed_service(text: &str) -> Result<(ServiceName, Vec<QualifiedName>), Failure> {
    let hint = "write NAME=TABLE,TABLE with a name of a-z, 0-9 and _, at most 24 characters";
    let (name, tables) =
        text.split_once('=').ok_or_else(|| wrong(format!("{text} names no tables of a service"), hint))?;
    let name = ServiceName::parse(name.trim()).map_err(|error| wrong(error.to_string(), hint))?;
    let tables = tables.split(',').filter(|table| !table.trim().is_empty());
    Ok((name, tables.map(table).collect::<Result<_, _>>()?))
}

fn wrong(message: String, hint: &str) -> Failure {
    Problem::error("C1025", message).hint(hint).exit(ExitCode::Usage).into()
}
