//! One connection to a file or a server, spoken to in the SQL both understand.
//!
//! Values go as `$1`, `$2`, … in the order they first appear; times and states are written into the
//! text, for a server has types of its own for them.

use super::super::TuneError;
use super::server::{self, Server};
use postgres::types::{FromSql, IsNull, ToSql, Type, private::BytesMut};
use std::error::Error;
use std::path::Path;
use std::time::Duration;

/// How long a file that another process writes is waited for.
const BUSY: Duration = Duration::from_secs(120);

/// A value of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Nothing.
    Null,
    /// A whole number.
    Integer(i64),
    /// A real number.
    Real(f64),
    /// Text.
    Text(String),
}

impl Cell {
    pub fn integer(&self) -> Result<i64, TuneError> {
        match self {
            Self::Integer(value) => Ok(*value),
            other => Err(TuneError::Storage(format!("{other:?} where a whole number is expected"))),
        }
    }

    pub fn text(&self) -> Result<&str, TuneError> {
        match self {
            Self::Text(value) => Ok(value),
            other => Err(TuneError::Storage(format!("{other:?} where text is expected"))),
        }
    }

    pub const fn real(&self) -> Option<f64> {
        match self {
            Self::Integer(value) => Some(*value as f64),
            Self::Real(value) => Some(*value),
            Self::Null | Self::Text(_) => None,
        }
    }
}

/// A connection.
pub enum Database {
    /// To a file of SQLite.
    File(rusqlite::Connection),
    /// To a server of PostgreSQL.
    Server(Box<Server>),
}

/// Whether a target names a server rather than a file.
pub fn is_server(target: &str) -> bool {
    target.starts_with("postgresql://") || target.starts_with("postgres://")
}

impl Database {
    /// Opens a path, or a URL that begins with `postgresql://`.
    pub fn open(target: &str) -> Result<Self, TuneError> {
        if is_server(target) {
            return Ok(Self::Server(Box::new(Server::open(target)?)));
        }
        if target.contains("://") {
            return Err(TuneError::Storage(
                "a path of a file or a URL of postgresql:// is expected".to_owned(),
            ));
        }
        if let Some(folder) = Path::new(target).parent().filter(|f| !f.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|error| {
                TuneError::Storage(format!("cannot create {}: {error}", folder.display()))
            })?;
        }
        let connection = rusqlite::Connection::open(target)?;
        connection.busy_timeout(BUSY)?;
        Ok(Self::File(connection))
    }

    pub const fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// Whether an error says that the connection is of no more use, or the same may be asked again.
    pub fn is_lost(&self, error: &TuneError) -> bool {
        matches!(self, Self::Server(server) if server.client.is_closed()) || server::passes(error)
    }

    /// Connects to a server again. A file never goes away.
    pub fn reopen(&mut self) -> Result<(), TuneError> {
        match self {
            Self::File(_) => Ok(()),
            Self::Server(server) => server.reopen(),
        }
    }

    /// Seconds for which this connection has stood, without end if it never broke.
    pub fn again_secs(&self) -> f64 {
        match self {
            Self::File(_) => f64::INFINITY,
            Self::Server(server) => server.again_secs(),
        }
    }

    /// Several statements without values.
    pub fn batch(&mut self, sql: &str) -> Result<(), TuneError> {
        match self {
            Self::File(connection) => connection.execute_batch(sql)?,
            Self::Server(server) => server.client.batch_execute(sql)?,
        }
        Ok(())
    }

    /// One statement; the rows it changed.
    pub fn execute(&mut self, sql: &str, values: &[Cell]) -> Result<u64, TuneError> {
        match self {
            Self::File(connection) => {
                let mut statement = connection.prepare_cached(sql)?;
                Ok(statement.execute(rusqlite::params_from_iter(values))? as u64)
            }
            Self::Server(server) => {
                let values: Vec<&(dyn ToSql + Sync)> =
                    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
                Ok(server.client.execute(sql, &values)?)
            }
        }
    }

    /// The rows of one statement.
    pub fn query(&mut self, sql: &str, values: &[Cell]) -> Result<Vec<Vec<Cell>>, TuneError> {
        match self {
            Self::File(connection) => {
                let mut statement = connection.prepare_cached(sql)?;
                let columns = statement.column_count();
                let rows = statement.query_map(rusqlite::params_from_iter(values), |row| {
                    (0..columns).map(|at| row.get(at)).collect()
                })?;
                Ok(rows.collect::<Result<_, _>>()?)
            }
            Self::Server(server) => {
                let values: Vec<&(dyn ToSql + Sync)> =
                    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
                let rows = server.client.query(sql, &values)?;
                let cells = |row: &postgres::Row| {
                    (0..row.len()).map(|at| row.try_get(at)).collect::<Result<_, _>>()
                };
                Ok(rows.iter().map(cells).collect::<Result<_, postgres::Error>>()?)
            }
        }
    }

    /// What `work` does happens as a whole or not at all. A file has one writer at a time from here
    /// on; on a server `work` locks the rows it rests on.
    pub fn whole<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, TuneError>,
    ) -> Result<T, TuneError> {
        let begin = if self.is_file() { "BEGIN IMMEDIATE" } else { "BEGIN" };
        self.batch(begin)?;
        match work(self) {
            Ok(done) => {
                self.batch("COMMIT")?;
                Ok(done)
            }
            Err(error) => {
                // The first error is the one that tells what went wrong.
                let _ = self.batch("ROLLBACK");
                Err(error)
            }
        }
    }
}

impl rusqlite::ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        use rusqlite::types::{ToSqlOutput, Value, ValueRef};
        Ok(match self {
            Self::Null => ToSqlOutput::Owned(Value::Null),
            Self::Integer(value) => ToSqlOutput::Owned(Value::Integer(*value)),
            Self::Real(value) => ToSqlOutput::Owned(Value::Real(*value)),
            Self::Text(value) => ToSqlOutput::Borrowed(ValueRef::Text(value.as_bytes())),
        })
    }
}

impl rusqlite::types::FromSql for Cell {
    fn column_result(value: rusqlite::types::ValueRef<'_>) -> rusqlite::types::FromSqlResult<Self> {
        use rusqlite::types::ValueRef;
        Ok(match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(value) => Self::Integer(value),
            ValueRef::Real(value) => Self::Real(value),
            ValueRef::Text(_) => Self::Text(value.as_str()?.to_owned()),
            ValueRef::Blob(_) => return Err(rusqlite::types::FromSqlError::InvalidType),
        })
    }
}

type Fallible<T> = Result<T, Box<dyn Error + Sync + Send>>;

impl ToSql for Cell {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Fallible<IsNull> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Integer(value) if *kind == Type::INT4 => i32::try_from(*value)?.to_sql(kind, out),
            Self::Integer(value) => value.to_sql(kind, out),
            Self::Real(value) => value.to_sql(kind, out),
            Self::Text(value) => value.to_sql(kind, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    postgres::types::to_sql_checked!();
}

impl<'a> FromSql<'a> for Cell {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Fallible<Self> {
        Ok(match *kind {
            Type::INT4 => Self::Integer(i64::from(i32::from_sql(kind, raw)?)),
            Type::INT8 => Self::Integer(i64::from_sql(kind, raw)?),
            Type::FLOAT8 => Self::Real(f64::from_sql(kind, raw)?),
            _ => Self::Text(String::from_sql(kind, raw)?),
        })
    }

    fn from_sql_null(_: &Type) -> Fallible<Self> {
        Ok(Self::Null)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}
