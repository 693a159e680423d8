//! An event as JSON, for people and scripts.
//!
//! Fixed-point numbers are decimal strings (`"px": "61800.3"`): a JSON number would be read as a
//! float. Times are whole nanoseconds. Hashes and byte strings are hex. A float that is not finite
//! is `null`.

use super::fields::{FLAG_NAMES, Field, InstrumentNames, visit_fields};
use super::format::RecordIndex;
use crate::base::event::{Event, Kind, Level};
use crate::base::{Px, Qty};
use serde_json::{Map, Value};

/// The event with its place in the journal and every field of its body by name.
pub fn render(lane: usize, record: RecordIndex, event: &Event, names: &InstrumentNames) -> Value {
    let mut object = Map::new();
    let kind = event.kind().map_or_else(|| event.kind.into(), |kind| Kind::name(kind).into());
    object.insert("lane".to_owned(), lane.into());
    object.insert("record".to_owned(), record.0.into());
    object.insert("kind".to_owned(), kind);
    object.insert("instrument".to_owned(), names.name(event.instrument()).into());
    object.insert("seq".to_owned(), event.seq.into());
    object.insert("ts_venue".to_owned(), event.ts_venue.into());
    object.insert("ts_recv".to_owned(), event.ts_recv.into());
    let set = FLAG_NAMES.iter().filter(|(bit, _)| event.has(*bit)).map(|&(_, name)| name);
    object.insert("flags".to_owned(), set.collect());
    visit_fields(event, &mut |name, field| {
        object.insert(name.to_owned(), value(field));
    });
    Value::Object(object)
}

fn value(field: Field<'_>) -> Value {
    match field {
        Field::Time(number) | Field::Whole(number) => number.into(),
        Field::Count(number) => number.into(),
        // By way of the shortest text, so that 0.3 does not turn into 0.30000001192092896.
        Field::Ratio(ratio) => ratio.to_string().parse::<f64>().map_or(Value::Null, Value::from),
        Field::Levels(levels) => {
            levels.iter().take_while(|level| level.px != 0).map(pair).collect()
        }
        Field::Fixed(_)
        | Field::Reason(_)
        | Field::Order(_)
        | Field::Hash(_)
        | Field::Bytes(_)
        | Field::Text(_)
        | Field::Choice(..) => field.text().map_or(Value::Null, |text| text.into_owned().into()),
    }
}

fn pair(level: &Level) -> Value {
    vec![Px(level.px).to_string(), Qty(level.qty).to_string()].into()
}
