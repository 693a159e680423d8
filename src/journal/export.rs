//! A lane as a table: CSV for eyes and spreadsheets, Parquet for research.
//!
//! A row per record. Columns: the header, then every field that any of the exported kinds has, in
//! the order of [`Kind::ALL`]; a field that a record's kind lacks is empty. Export one kind for a
//! table without holes.
//!
//! | field | CSV | Parquet |
//! |---|---|---|
//! | price, quantity, money, rate | decimal | INT64, 1e-8 |
//! | time | nanoseconds | INT64 timestamp in nanoseconds, UTC |
//! | count, id, sequence | integer | INT64, unsigned |
//! | float | shortest decimal | FLOAT |
//! | reason, choice, order id, hash, text | text | STRING |

use super::dump::{Filter, read_instrument_names};
use super::error::JournalError;
use super::fields::{FLAG_NAMES, Field, InstrumentNames, visit_fields};
use super::format::{LANES, RecordIndex};
use super::read::LaneReader;
use crate::base::event::{Event, Kind, LEVELS_PER_EVENT, lane_of};
use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::{ByteArray, ByteArrayType, FloatType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;
use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

/// Rows in a Parquet row group: bounds the memory of an export to some tens of MiB.
const ROW_GROUP_ROWS: usize = 1 << 16;
const LEVEL_PX: [&str; LEVELS_PER_EVENT] = ["px_0", "px_1", "px_2", "px_3", "px_4", "px_5"];
const LEVEL_QTY: [&str; LEVELS_PER_EVENT] = ["qty_0", "qty_1", "qty_2", "qty_3", "qty_4", "qty_5"];

/// A cell that is not empty.
#[derive(Clone, Debug, PartialEq)]
enum Cell {
    Fixed(i64),
    Time(i64),
    Count(u64),
    Whole(i64),
    Ratio(f32),
    Text(String),
}

/// Writes `lane` of the journal in `dir` as CSV with a header line. Returns the number of rows.
///
/// # Errors
/// [`JournalError`]; a damaged record ends the export.
pub fn export_csv(
    dir: &Path,
    lane: usize,
    filter: &Filter,
    out: &mut dyn Write,
) -> Result<u64, JournalError> {
    let columns = columns(lane, filter);
    let index = index_of(&columns);
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(columns.iter().map(|column| column.0)).map_err(refused)?;
    let mut row = vec![String::new(); columns.len()];
    let rows = for_each_row(dir, lane, filter, &mut |record, event, names| {
        row.iter_mut().for_each(String::clear);
        visit_cells(record, event, names, &mut |name, cell| {
            if let Some(&place) = index.get(name) {
                row[place] = cell.text();
            }
        });
        writer.write_record(&row).map_err(refused)
    })?;
    writer.flush().map_err(refused)?;
    Ok(rows)
}

/// Writes `lane` of the journal in `dir` as a Parquet file, snappy-compressed. Returns the number
/// of rows.
///
/// # Errors
/// [`JournalError`]; a damaged record ends the export, and the file is not readable then.
pub fn export_parquet(
    dir: &Path,
    lane: usize,
    filter: &Filter,
    out: &mut (dyn Write + Send),
) -> Result<u64, JournalError> {
    let columns = columns(lane, filter);
    let index = index_of(&columns);
    let schema = Arc::new(schema(&columns).map_err(refused)?);
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_dictionary_enabled(false)
        .build();
    let mut writer =
        SerializedFileWriter::new(out, schema, Arc::new(properties)).map_err(refused)?;
    let mut group: Vec<Vec<Option<Cell>>> = vec![Vec::new(); columns.len()];
    let mut pending = 0;
    let rows = for_each_row(dir, lane, filter, &mut |record, event, names| {
        pending += 1;
        visit_cells(record, event, names, &mut |name, cell| {
            if let Some(&place) = index.get(name) {
                group[place].push(Some(cell));
            }
        });
        for column in &mut group {
            column.resize(pending, None);
        }
        if pending == ROW_GROUP_ROWS {
            write_group(&mut writer, &mut group).map_err(refused)?;
            pending = 0;
        }
        Ok(())
    })?;
    if pending > 0 {
        write_group(&mut writer, &mut group).map_err(refused)?;
    }
    writer.close().map_err(refused)?;
    Ok(rows)
}

type Row<'r> = dyn FnMut(RecordIndex, &Event, &InstrumentNames) -> Result<(), JournalError> + 'r;

fn for_each_row(
    dir: &Path,
    lane: usize,
    filter: &Filter,
    row: &mut Row<'_>,
) -> Result<u64, JournalError> {
    if lane >= LANES {
        return Err(JournalError::NoLane(lane));
    }
    let names = read_instrument_names(dir)?;
    let mut rows = 0;
    for item in LaneReader::open(dir, lane)? {
        let (record, event) = item?;
        if filter.matches(&event, &names) {
            row(record, &event, &names)?;
            rows += 1;
        }
    }
    Ok(rows)
}

/// Visits the non-empty cells of a row.
fn visit_cells(
    record: RecordIndex,
    event: &Event,
    names: &InstrumentNames,
    visit: &mut dyn FnMut(&'static str, Cell),
) {
    visit("record", Cell::Count(record.0));
    let kind = event.kind().map_or_else(|| event.kind.to_string(), |kind| kind.name().to_owned());
    visit("kind", Cell::Text(kind));
    if let Some(name) = names.name(event.instrument()) {
        visit("instrument", Cell::Text(name));
    }
    visit("seq", Cell::Count(event.seq));
    visit("ts_venue", Cell::Time(event.ts_venue));
    visit("ts_recv", Cell::Time(event.ts_recv));
    let set = FLAG_NAMES.iter().filter(|(bit, _)| event.has(*bit)).map(|&(_, name)| name);
    visit("flags", Cell::Text(set.collect::<Vec<_>>().join("|")));
    visit_fields(event, &mut |name, field| match field {
        Field::Fixed(value) => visit(name, Cell::Fixed(value)),
        Field::Time(value) => visit(name, Cell::Time(value)),
        Field::Count(value) => visit(name, Cell::Count(value)),
        Field::Whole(value) => visit(name, Cell::Whole(value)),
        Field::Ratio(value) => visit(name, Cell::Ratio(value)),
        Field::Levels(levels) => {
            let names = LEVEL_PX.into_iter().zip(LEVEL_QTY);
            for ((px, qty), level) in names.zip(levels) {
                visit(px, Cell::Fixed(level.px));
                visit(qty, Cell::Fixed(level.qty));
            }
        }
        Field::Reason(_)
        | Field::Order(_)
        | Field::Hash(_)
        | Field::Bytes(_)
        | Field::Text(_)
        | Field::Choice(..) => {
            visit(name, Cell::Text(field.text().unwrap_or_default().into_owned()));
        }
    });
}

/// Name and an example of every column: the cells of an empty event of each kind that can come.
fn columns(lane: usize, filter: &Filter) -> Vec<(&'static str, Cell)> {
    let mut columns: Vec<(&'static str, Cell)> = Vec::new();
    let wanted = |kind: &Kind| match filter.kinds.is_empty() {
        true => lane_of(*kind) == lane,
        false => filter.kinds.contains(kind),
    };
    // An instrument of 0 gives the example row an instrument cell.
    let blank = |kind: u8| Event { kind, instrument: 0, ..Event::EMPTY };
    let mut examples: Vec<Event> =
        Kind::ALL.iter().filter(|kind| wanted(kind)).map(|&kind| blank(kind as u8)).collect();
    if examples.is_empty() {
        // A lane without kinds of its own holds raw bodies.
        examples.push(blank(0));
    }
    for example in &examples {
        let names = InstrumentNames::default();
        visit_cells(RecordIndex(0), example, &names, &mut |name, cell| {
            if columns.iter().all(|(known, _)| *known != name) {
                columns.push((name, cell));
            }
        });
    }
    columns
}

fn index_of(columns: &[(&'static str, Cell)]) -> HashMap<&'static str, usize> {
    columns.iter().enumerate().map(|(place, column)| (column.0, place)).collect()
}

fn schema(columns: &[(&'static str, Cell)]) -> parquet::errors::Result<Type> {
    let mut fields = Vec::with_capacity(columns.len());
    for (name, example) in columns {
        let (physical, logical) = match example {
            Cell::Fixed(_) | Cell::Whole(_) => (Physical::INT64, None),
            Cell::Time(_) => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::NANOS))),
            Cell::Count(_) => (Physical::INT64, Some(LogicalType::integer(64, false))),
            Cell::Ratio(_) => (Physical::FLOAT, None),
            Cell::Text(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        };
        let field = Type::primitive_type_builder(name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical)
            .build()?;
        fields.push(Arc::new(field));
    }
    Type::group_type_builder("journal").with_fields(fields).build()
}

/// Writes the buffered rows as one row group and empties the buffer.
fn write_group<W: Write + Send>(
    writer: &mut SerializedFileWriter<W>,
    group: &mut [Vec<Option<Cell>>],
) -> parquet::errors::Result<()> {
    let mut row_group = writer.next_row_group()?;
    for column in group.iter_mut() {
        let Some(mut target) = row_group.next_column()? else { break };
        let present: Vec<i16> = column.iter().map(|cell| i16::from(cell.is_some())).collect();
        let cells = column.drain(..).flatten();
        match target.untyped() {
            ColumnWriter::Int64ColumnWriter(_) => {
                let values: Vec<i64> = cells.map(|cell| cell.bits()).collect();
                target.typed::<Int64Type>().write_batch(&values, Some(&present), None)?;
            }
            ColumnWriter::FloatColumnWriter(_) => {
                let values: Vec<f32> = cells.map(|cell| cell.ratio()).collect();
                target.typed::<FloatType>().write_batch(&values, Some(&present), None)?;
            }
            _ => {
                let values: Vec<ByteArray> =
                    cells.map(|cell| cell.text().into_bytes().into()).collect();
                target.typed::<ByteArrayType>().write_batch(&values, Some(&present), None)?;
            }
        }
        target.close()?;
    }
    row_group.close()?;
    Ok(())
}

impl Cell {
    fn text(self) -> String {
        match self {
            Self::Fixed(value) => crate::base::Px(value).to_string(),
            Self::Time(value) | Self::Whole(value) => value.to_string(),
            Self::Count(value) => value.to_string(),
            Self::Ratio(value) => value.to_string(),
            Self::Text(text) => text,
        }
    }

    /// As stored in an INT64 column; unsigned numbers keep their bits.
    fn bits(self) -> i64 {
        match self {
            Self::Fixed(value) | Self::Time(value) | Self::Whole(value) => value,
            Self::Count(value) => value.cast_signed(),
            Self::Ratio(_) | Self::Text(_) => 0,
        }
    }

    fn ratio(self) -> f32 {
        match self {
            Self::Ratio(value) => value,
            _ => f32::NAN,
        }
    }
}

fn refused(error: impl std::fmt::Display) -> JournalError {
    JournalError::Export(error.to_string())
}
