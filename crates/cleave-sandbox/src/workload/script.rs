//! What the transactions of a workload do: any code, or a weighted list of SQL texts.

use std::collections::HashMap;
use std::future::Future;

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};

use super::token::{Kind, Token};

/// The source of random choices; seeded, so that a run can be repeated.
pub type Random = fastrand::Rng;

/// One kind of application. The workload begins a transaction, calls [`run`](Self::run) and commits.
pub trait Script: Send + Sync + 'static {
    /// Runs the statements of one transaction and writes the token where the returned kind says. After 40001 or 40P01
    /// it is called again with the same token, in a new transaction.
    ///
    /// # Errors
    /// The error of the first statement that failed; the transaction is rolled back.
    fn run(
        &self,
        session: &mut Session,
        token: Token,
        random: &mut Random,
    ) -> impl Future<Output = Result<Kind, tokio_postgres::Error>> + Send;
}

/// A database that applications connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// What scripts and reports call it, such as `monolith`.
    pub name: String,
    /// The connection URL.
    pub url: String,
}

impl Endpoint {
    /// An endpoint of that name and URL.
    pub fn new(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self { name: name.into(), url: url.into() }
    }
}

/// One connection of the workload. Each statement is prepared once per connection, as most drivers do.
#[derive(Debug)]
pub struct Session {
    pub(super) client: Client,
    endpoint: Endpoint,
    statements: HashMap<String, Statement>,
    /// A statement of the open transaction has failed: COMMIT would answer with success and roll back.
    pub(super) failed: bool,
}

impl Session {
    pub(super) fn new(client: Client, endpoint: Endpoint) -> Self {
        Self { client, endpoint, statements: HashMap::new(), failed: false }
    }

    /// The name of the endpoint that this connection leads to.
    pub fn place(&self) -> &str {
        &self.endpoint.name
    }

    /// Runs a statement and returns the number of rows it changed.
    ///
    /// # Errors
    /// When the server refuses it or the connection is lost.
    pub async fn execute(
        &mut self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, tokio_postgres::Error> {
        let result = match self.prepare(sql).await {
            Ok(statement) => self.client.execute(&statement, parameters).await,
            Err(error) => Err(error),
        };
        self.failed |= result.is_err();
        result
    }

    /// Runs a statement and returns its rows.
    ///
    /// # Errors
    /// When the server refuses it or the connection is lost.
    pub async fn query(
        &mut self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        let result = match self.prepare(sql).await {
            Ok(statement) => self.client.query(&statement, parameters).await,
            Err(error) => Err(error),
        };
        self.failed |= result.is_err();
        result
    }

    async fn prepare(&mut self, sql: &str) -> Result<Statement, tokio_postgres::Error> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).await?;
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

/// A script made of SQL texts. In a text, `$token` stands for the transaction's token and `$random(LOW,HIGH)` for a
/// random `bigint` between two numbers, both included; every occurrence is another one.
#[derive(Clone, Debug, Default)]
pub struct SqlScript {
    transactions: Vec<SqlTransaction>,
    weights: u32,
}

#[derive(Clone, Debug)]
struct SqlTransaction {
    weight: u32,
    kind: Kind,
    statements: Vec<SqlStatement>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct SqlStatement {
    text: String,
    parameters: Vec<Parameter>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parameter {
    Token,
    Random(i64, i64),
}

/// A text that uses `$token` or `$random(LOW,HIGH)` wrongly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected $random(LOW,HIGH) with LOW <= HIGH in: {0}")]
pub struct MalformedStatement(String);

impl SqlScript {
    /// A script without transactions; it needs at least one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a transaction, which is chosen `weight` times out of the sum of all weights.
    ///
    /// # Errors
    /// When a text is malformed.
    pub fn transaction(
        mut self,
        weight: u32,
        kind: Kind,
        statements: &[&str],
    ) -> Result<Self, MalformedStatement> {
        let statements = statements.iter().map(|text| SqlStatement::parse(text)).collect::<Result<_, _>>()?;
        self.weights += weight;
        self.transactions.push(SqlTransaction { weight, kind, statements });
        Ok(self)
    }

    fn choose(&self, random: &mut Random) -> Option<&SqlTransaction> {
        let mut point = random.u32(0..self.weights.max(1));
        self.transactions.iter().find(|transaction| match point.checked_sub(transaction.weight) {
            Some(rest) => {
                point = rest;
                false
            }
            None => true,
        })
    }
}

impl Script for SqlScript {
    async fn run(
        &self,
        session: &mut Session,
        token: Token,
        random: &mut Random,
    ) -> Result<Kind, tokio_postgres::Error> {
        let Some(transaction) = self.choose(random) else { return Ok(Kind::new("empty")) };
        for statement in &transaction.statements {
            let values: Vec<i64> =
                statement.parameters.iter().map(|each| each.value(token, random)).collect();
            let parameters: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as _).collect();
            session.execute(&statement.text, &parameters).await?;
        }
        Ok(transaction.kind)
    }
}

impl Parameter {
    fn value(self, token: Token, random: &mut Random) -> i64 {
        match self {
            Self::Token => token.value(),
            Self::Random(low, high) => random.i64(low..=high),
        }
    }
}

impl SqlStatement {
    fn parse(source: &str) -> Result<Self, MalformedStatement> {
        const TOKEN: &str = "$token";
        const RANDOM: &str = "$random(";
        let (mut text, mut parameters, mut rest) = (String::new(), Vec::new(), source);
        while let Some(start) = rest.find('$') {
            text += &rest[..start];
            rest = &rest[start..];
            let parameter = if let Some(after) = rest.strip_prefix(TOKEN) {
                rest = after;
                Parameter::Token
            } else if let Some(after) = rest.strip_prefix(RANDOM) {
                let (range, after) =
                    after.split_once(')').ok_or_else(|| MalformedStatement(source.to_owned()))?;
                rest = after;
                parse_range(range).ok_or_else(|| MalformedStatement(source.to_owned()))?
            } else {
                // A dollar quote, or a parameter that the server will complain about.
                text.push('$');
                rest = &rest[1..];
                continue;
            };
            parameters.push(parameter);
            text += &format!("${}::bigint", parameters.len());
        }
        text += rest;
        Ok(Self { text, parameters })
    }
}

fn parse_range(text: &str) -> Option<Parameter> {
    let (low, high) = text.split_once(',')?;
    let (low, high) = (low.trim().parse().ok()?, high.trim().parse().ok()?);
    (low <= high).then_some(Parameter::Random(low, high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_become_parameters() {
        let source = "insert into t values ($token, $random(1, 9), $$text$$, $token)";
        let statement = SqlStatement::parse(source).unwrap();
        assert_eq!(statement.text, "insert into t values ($1::bigint, $2::bigint, $$text$$, $3::bigint)");
        assert_eq!(statement.parameters, [Parameter::Token, Parameter::Random(1, 9), Parameter::Token]);
        for malformed in ["select $random(1)", "select $random(2,1)", "select $random(1,2"] {
            assert!(SqlStatement::parse(malformed).is_err(), "{malformed}");
        }
    }

    #[test]
    fn transactions_are_chosen_by_their_weight() {
        let (often, seldom) = (Kind::new("often"), Kind::new("seldom"));
        let script =
            SqlScript::new().transaction(3, often, &[]).unwrap().transaction(1, seldom, &[]).unwrap();
        let mut random = Random::with_seed(1);
        let chosen = (0..4000).filter(|_| script.choose(&mut random).unwrap().kind == often).count();
        assert!((2800..3200).contains(&chosen), "{chosen} of 4000");
    }
}
