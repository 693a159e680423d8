//! Which features have a meaning on which data.

use anyhow::{Result, bail};
use peregrine::features::{Input, SCHEMA, Selection, WarmUp};
use peregrine::venue::dataset::{DataSet, Stream};

/// Features that follow from the prices and volumes of candles alone. What needs the side, the
/// number or the size of trades is left out: a tape of candles has to make those up. So are values
/// that scale with the price, and funding, of which a tape tells the last settlement where a venue
/// tells its estimate of the next.
pub const CANDLE_FEATURES: [&str; 21] = [
    "return_1",
    "return_5",
    "return_20",
    "natr",
    "rsi_14",
    "bb_upper",
    "bb_middle",
    "bb_lower",
    "bb_width",
    "bb_position",
    "sma_cross_10_20",
    "macd_12_26",
    "stoch_k_14",
    "realised_vol_20",
    "parkinson_vol_20",
    "volume_ratio",
    "volume_zscore",
    "price_to_sma20",
    "log_return_1",
    "hour_sin",
    "hour_cos",
];

/// The features to take from a data set: `asked`, or those that have a meaning on its streams.
///
/// # Errors
/// A name the schema does not have, a feature whose input no stream of the data set tells, or
/// nothing to take.
pub fn choose(set: &DataSet, asked: &[String]) -> Result<Vec<String>> {
    let listed = |stream| set.manifest().files.iter().any(|entry| entry.stream == stream);
    let (bars, trades) = (listed(Stream::Bars), listed(Stream::Trades));
    if !bars && !trades {
        let streams: Vec<&str> =
            set.manifest().files.iter().map(|entry| entry.stream.name()).collect();
        bail!(
            "{}: it has neither candles nor trades (only {}), and every feature that can be \
             learned from rests on one of them",
            set.dir().display(),
            if streams.is_empty() { "nothing".to_owned() } else { streams.join(", ") }
        );
    }
    if !asked.is_empty() {
        Selection::new(asked)?;
        for name in asked {
            if let Some(input) = untold(name) {
                bail!("{name} needs {input}, which no stream of a data set tells");
            }
        }
        return Ok(asked.to_vec());
    }
    let plain = CANDLE_FEATURES.iter().map(|&name| name.to_owned());
    // Trades without candles are the venue's own: what they tell of sides and sizes is true.
    let own = SCHEMA.iter().filter(|spec| {
        !bars
            && matches!(spec.warm_up, WarmUp::Bars(_))
            && spec.inputs.has(Input::Trades)
            && untold(spec.name).is_none()
            && spec.name != "atr_14"
            && !CANDLE_FEATURES.contains(&spec.name)
    });
    Ok(plain.chain(own.map(|spec| spec.name.to_owned())).collect())
}

/// The input of a feature that no tape tells.
fn untold(name: &str) -> Option<&'static str> {
    let spec = SCHEMA.iter().find(|spec| spec.name == name)?;
    [Input::OpenInterest, Input::Funding, Input::Liquidations]
        .into_iter()
        .find(|&input| spec.inputs.has(input))
        .map(Input::name)
}
