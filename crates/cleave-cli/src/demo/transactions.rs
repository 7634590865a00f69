//! The sample's workload: each file of `workload/` is one transaction. Its header format is in the sample's README.

use super::error::DemoError;
use cleave_sandbox::{Kind, Random, Script, Session, Token, connect};
use std::collections::HashMap;
use tokio_postgres::types::ToSql;

const RANGES: &str = include_str!("../../../../examples/storefront/workload/ranges.sql");
const FILES: [(&str, &str); 4] = [
    ("workload/review.sql", include_str!("../../../../examples/storefront/workload/review.sql")),
    ("workload/order.sql", include_str!("../../../../examples/storefront/workload/order.sql")),
    ("workload/launch.sql", include_str!("../../../../examples/storefront/workload/launch.sql")),
    ("workload/browse.sql", include_str!("../../../../examples/storefront/workload/browse.sql")),
];

/// Reads only: there is no token.
pub(super) const READS: Kind = Kind::new("reads");
/// The token is in the moved service's tables.
pub(super) const CATALOG: Kind = Kind::new("catalog");
/// The token is in tables that stay.
pub(super) const STAYING: Kind = Kind::new("staying");

/// Turns a token's column back into the token's number.
pub(super) fn tokens_of(table: &str) -> String {
    format!(
        "select ('x' || substr(replace(token::text, '-', ''), 17))::bit(64)::bigint from {table} where token is not null"
    )
}

/// The token as the sample stores it: a uuid, whose last 16 digits are its number.
fn token_text(token: Token) -> String {
    let digits = format!("{:016x}", token.value());
    format!("00000000-0000-4000-{}-{}", &digits[..4], &digits[4..])
}

/// All transactions, with the ranges of the loaded data.
#[derive(Debug)]
pub(super) struct Transactions {
    all: Vec<Transaction>,
    ranges: HashMap<String, (i64, i64)>,
}

#[derive(Debug)]
struct Transaction {
    weight: u32,
    kind: Kind,
    parameters: Vec<String>,
    statements: Vec<Statement>,
}

#[derive(Debug, Default)]
struct Statement {
    text: String,
    arguments: Vec<String>,
    gives: Vec<String>,
}

/// A value of a transaction: a parameter, or what a statement has returned.
#[derive(Debug)]
enum Value {
    Number(i64),
    Text(String),
}

impl Value {
    fn as_sql(&self) -> &(dyn ToSql + Sync) {
        match self {
            Self::Number(number) => number,
            Self::Text(text) => text,
        }
    }
}

impl Transactions {
    /// Reads the ranges from the loaded monolith.
    pub(super) async fn read(url: &str) -> Result<Self, DemoError> {
        let failed = |source| DemoError::Statement { action: "read the workload's ranges", source };
        let client = connect(url).await?;
        let mut ranges = HashMap::new();
        for row in client.query(RANGES, &[]).await.map_err(failed)? {
            let name: String = row.try_get(0).map_err(failed)?;
            ranges.insert(name, (row.try_get(1).map_err(failed)?, row.try_get(2).map_err(failed)?));
        }
        Self::parse(ranges)
    }

    fn parse(ranges: HashMap<String, (i64, i64)>) -> Result<Self, DemoError> {
        let mut all = Vec::new();
        for (file, text) in FILES {
            let transaction = Transaction::parse(text);
            all.push(transaction.map_err(|reason| DemoError::Malformed { file, reason })?);
            let names = all.iter().flat_map(|transaction| &transaction.parameters);
            if let Some(name) = names.into_iter().find(|name| *name != "token" && !ranges.contains_key(*name))
            {
                return Err(DemoError::Malformed { file, reason: format!("there is no range for {name}") });
            }
        }
        Ok(Self { all, ranges })
    }

    /// How many transactions must be run for so many that write.
    pub(super) fn rate_for(&self, writes: u32) -> u32 {
        let sum = |transactions: &mut dyn Iterator<Item = &Transaction>| -> u32 {
            transactions.map(|transaction| transaction.weight).sum()
        };
        let writing = sum(&mut self.all.iter().filter(|transaction| transaction.kind != READS));
        (writes * sum(&mut self.all.iter())).div_ceil(writing.max(1))
    }

    fn choose(&self, random: &mut Random) -> Option<&Transaction> {
        let mut point =
            random.u32(0..self.all.iter().map(|transaction| transaction.weight).sum::<u32>().max(1));
        self.all.iter().find(|transaction| match point.checked_sub(transaction.weight) {
            Some(rest) => {
                point = rest;
                false
            }
            None => true,
        })
    }

    /// Values for all parameters, drawn anew.
    fn draw<'t>(
        &self,
        transaction: &'t Transaction,
        token: Token,
        random: &mut Random,
    ) -> HashMap<&'t str, Value> {
        let draw = |name: &str, random: &mut Random| match self.ranges.get(name) {
            Some((low, high)) => Value::Number(random.i64(*low..=*high)),
            None => Value::Text(token_text(token)),
        };
        transaction.parameters.iter().map(|name| (name.as_str(), draw(name, random))).collect()
    }
}

impl Script for Transactions {
    async fn run(
        &self,
        session: &mut Session,
        token: Token,
        random: &mut Random,
    ) -> Result<Kind, tokio_postgres::Error> {
        let Some(transaction) = self.choose(random) else { return Ok(READS) };
        let mut values = self.draw(transaction, token, random);
        for statement in &transaction.statements {
            let arguments: Vec<&(dyn ToSql + Sync)> = statement
                .arguments
                .iter()
                .filter_map(|name| values.get(name.as_str()))
                .map(Value::as_sql)
                .collect();
            let rows = session.query(&statement.text, &arguments).await?;
            let Some(row) = rows.first() else { continue };
            for (column, name) in statement.gives.iter().enumerate() {
                values.insert(name, Value::Number(row.try_get(column)?));
            }
        }
        Ok(transaction.kind)
    }
}

impl Transaction {
    fn parse(text: &str) -> Result<Self, String> {
        let mut parts = text.split("\n-- ;;\n");
        let header = parts.next().unwrap_or_default();
        let field =
            |name: &'static str| fields(header, name).next().ok_or(format!("there is no line `-- {name}:`"));
        let weight = field("weight")?;
        let weight = weight.parse().map_err(|_| format!("{weight} is no weight"))?;
        let kind = match field("token")? {
            "none" => READS,
            "product_review" => CATALOG,
            "stock_movement" => STAYING,
            "product_review, stock_movement" => Kind::PAIR,
            other => return Err(format!("tokens in {other} are not known")),
        };
        let first_word = |text: &str| text.split([' ', ',']).next().unwrap_or_default().to_owned();
        let parameters: Vec<String> = fields(header, "param").map(first_word).collect();
        let statements: Vec<Statement> = parts.map(Statement::parse).collect();
        let mut known = parameters.clone();
        for statement in &statements {
            if let Some(name) = statement.arguments.iter().find(|name| !known.contains(name)) {
                return Err(format!("{name} is used and not given"));
            }
            known.extend(statement.gives.iter().cloned());
        }
        Ok(Self { weight, kind, parameters, statements })
    }
}

impl Statement {
    fn parse(text: &str) -> Self {
        let list = |name: &str| -> Vec<String> {
            let names = fields(text, name).flat_map(|names| names.split(','));
            names.map(|name| name.trim().to_owned()).collect()
        };
        let lines = text.lines().filter(|line| !line.starts_with("--"));
        let text = lines.collect::<Vec<_>>().join("\n");
        Self { arguments: list("args"), gives: list("gives"), text }
    }
}

/// The values of the lines `-- name: value`.
fn fields<'t>(text: &'t str, name: &'t str) -> impl Iterator<Item = &'t str> {
    text.lines().filter_map(move |line| {
        let (found, value) = line.strip_prefix("-- ")?.split_once(':')?;
        (found == name).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transactions() -> Transactions {
        let sql = RANGES.lines().filter(|line| !line.starts_with("--"));
        let names = sql.filter_map(|line| line.split('\'').nth(1));
        Transactions::parse(names.map(|name| (name.to_owned(), (1, 9))).collect()).unwrap()
    }

    #[test]
    fn every_file_is_a_transaction_whose_values_are_given() {
        let all = transactions().all;
        let kinds: Vec<Kind> = all.iter().map(|transaction| transaction.kind).collect();
        assert_eq!(kinds, [CATALOG, STAYING, Kind::PAIR, READS]);
        assert_eq!(
            all.iter().map(|transaction| transaction.statements.len()).collect::<Vec<_>>(),
            [3, 4, 6, 3]
        );
        let launch = &all[2].statements[0];
        assert_eq!(launch.arguments, ["brand_id", "token", "cents"]);
        assert_eq!(launch.gives, ["product_id"]);
        assert!(launch.text.starts_with("insert into product") && launch.text.ends_with("returning id"));
    }

    #[test]
    fn reads_come_on_top_of_the_writes_that_are_asked_for() {
        assert_eq!(transactions().rate_for(850), 1000);
    }

    #[test]
    fn a_transaction_that_uses_what_nobody_gives_is_refused() {
        let text = "-- weight: 1\n-- token: none\n-- ;;\n-- args: id\nselect $1::bigint";
        assert_eq!(Transaction::parse(text).unwrap_err(), "id is used and not given");
    }

    #[test]
    fn a_token_is_a_uuid_that_ends_with_its_number() {
        assert_eq!(
            token_text(Token::from_value(0x0123_4567_89ab_cdef)),
            "00000000-0000-4000-0123-456789abcdef"
        );
    }
}
