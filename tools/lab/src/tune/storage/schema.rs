//! Optuna's tables: its schema 12, revision `v3.2.0.a`, as Optuna 3.2 to 5.0 create it.

use super::super::TuneError;
use super::database::Database;

/// Version of the tables.
const SCHEMA: i64 = 12;
/// Revision of the tables as their migrations name it.
const REVISION: &str = "v3.2.0.a";
/// The version of Optuna these tables are of.
const LIBRARY: &str = "5.0.0";
/// Key of the lock on a server under which tables are made. Any number nobody else uses.
const LOCK: i64 = 0x7065_7265_6772_696e;

/// Kinds a server has of its own.
const KINDS: &str = "
CREATE TYPE studydirection AS ENUM ('NOT_SET', 'MINIMIZE', 'MAXIMIZE');
CREATE TYPE trialintermediatevaluetype AS ENUM ('FINITE', 'INF_POS', 'INF_NEG', 'NAN');
CREATE TYPE trialstate AS ENUM ('RUNNING', 'COMPLETE', 'PRUNED', 'FAIL', 'WAITING');
CREATE TYPE trialvaluetype AS ENUM ('FINITE', 'INF_POS', 'INF_NEG');
";

/// The tables. What stands in braces differs between a file and a server.
const TABLES: &str = "
CREATE TABLE studies (
 study_id {id},
 study_name VARCHAR(512) NOT NULL,
 PRIMARY KEY (study_id)
);
CREATE TABLE version_info (
 version_info_id INTEGER NOT NULL,
 schema_version INTEGER,
 library_version VARCHAR(256),
 PRIMARY KEY (version_info_id),
 CHECK (version_info_id=1)
);
CREATE TABLE study_directions (
 study_direction_id {id},
 direction {direction} NOT NULL,
 study_id INTEGER NOT NULL,
 objective INTEGER NOT NULL,
 PRIMARY KEY (study_direction_id),
 UNIQUE (study_id, objective),
 FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
CREATE TABLE trials (
 trial_id {id},
 number INTEGER,
 study_id INTEGER,
 state {state} NOT NULL,
 datetime_start {time},
 datetime_complete {time},
 PRIMARY KEY (trial_id),
 FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
CREATE TABLE trial_params (
 param_id {id},
 trial_id INTEGER,
 param_name VARCHAR(512),
 param_value {real},
 distribution_json TEXT,
 PRIMARY KEY (param_id),
 UNIQUE (trial_id, param_name),
 FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_values (
 trial_value_id {id},
 trial_id INTEGER NOT NULL,
 objective INTEGER NOT NULL,
 value {real},
 value_type {value} NOT NULL,
 PRIMARY KEY (trial_value_id),
 UNIQUE (trial_id, objective),
 FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_intermediate_values (
 trial_intermediate_value_id {id},
 trial_id INTEGER NOT NULL,
 step INTEGER NOT NULL,
 intermediate_value {real},
 intermediate_value_type {intermediate} NOT NULL,
 PRIMARY KEY (trial_intermediate_value_id),
 UNIQUE (trial_id, step),
 FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_heartbeats (
 trial_heartbeat_id {id},
 trial_id INTEGER NOT NULL,
 heartbeat {time} NOT NULL,
 PRIMARY KEY (trial_heartbeat_id),
 UNIQUE (trial_id),
 FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE alembic_version (
 version_num VARCHAR(32) NOT NULL,
 CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE UNIQUE INDEX ix_studies_study_name ON studies (study_name);
CREATE INDEX ix_trials_study_id ON trials (study_id);
";

/// Attributes of a study or a trial; `{of}` and `{kind}` name which.
const ATTRIBUTES: &str = "
CREATE TABLE {of}_{kind}_attributes (
 {of}_{kind}_attribute_id {id},
 {of}_id INTEGER,
 \"key\" VARCHAR(512),
 value_json TEXT,
 PRIMARY KEY ({of}_{kind}_attribute_id),
 UNIQUE ({of}_id, \"key\"),
 FOREIGN KEY({of}_id) REFERENCES {table} ({of}_id)
);
";

fn filled(text: &str, is_file: bool) -> String {
    let words = if is_file {
        [
            "INTEGER NOT NULL",
            "VARCHAR(8)",
            "VARCHAR(8)",
            "VARCHAR(7)",
            "VARCHAR(7)",
            "DATETIME",
            "FLOAT",
        ]
    } else {
        [
            "SERIAL NOT NULL",
            "studydirection",
            "trialstate",
            "trialvaluetype",
            "trialintermediatevaluetype",
            "TIMESTAMP WITHOUT TIME ZONE",
            "DOUBLE PRECISION",
        ]
    };
    let names = ["{id}", "{direction}", "{state}", "{value}", "{intermediate}", "{time}", "{real}"];
    names.iter().zip(words).fold(text.to_owned(), |text, (name, word)| text.replace(name, word))
}

/// Makes the tables where there are none.
///
/// # Errors
/// Where tables of another version are there.
pub fn prepare(database: &mut Database) -> Result<(), TuneError> {
    database.whole(|database| {
        let is_file = database.is_file();
        let known = if is_file {
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'version_info'"
        } else {
            database.batch(&format!("SELECT pg_advisory_xact_lock({LOCK})"))?;
            "SELECT table_name::text FROM information_schema.tables \
             WHERE table_name = 'version_info' AND table_schema = current_schema()"
        };
        if database.query(known, &[])?.is_empty() {
            if !is_file {
                database.batch(KINDS)?;
            }
            database.batch(&filled(TABLES, is_file))?;
            for (of, table) in [("study", "studies"), ("trial", "trials")] {
                for kind in ["user", "system"] {
                    let text = ATTRIBUTES.replace("{of}", of).replace("{table}", table);
                    database.batch(&filled(&text.replace("{kind}", kind), is_file))?;
                }
            }
            return database.batch(&format!(
                "INSERT INTO version_info (version_info_id, schema_version, library_version) \
                 VALUES (1, {SCHEMA}, '{LIBRARY}'); \
                 INSERT INTO alembic_version (version_num) VALUES ('{REVISION}');"
            ));
        }
        let rows = database.query("SELECT schema_version FROM version_info", &[])?;
        let found = rows.first().map_or(Ok(0), |row| row[0].integer())?;
        if found == SCHEMA {
            return Ok(());
        }
        Err(TuneError::Storage(format!(
            "its tables have version {found}, {SCHEMA} is spoken here: \
             `optuna storage upgrade` brings older ones up"
        )))
    })
}
