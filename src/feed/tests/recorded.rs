//! Every recorded payload through all readers.

use super::{Readers, data_dir};
use flate2::read::MultiGzDecoder;
use std::io::Read;
use std::path::Path;

fn text_of(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap();
    if !bytes.starts_with(&[0x1F, 0x8B]) {
        return bytes;
    }
    let mut text = Vec::new();
    MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut text).unwrap();
    text
}

/// Frames of a recording: what follows the first blank of each line.
fn frames(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&b| b == b'\n').filter_map(|line| {
        let blank = line.iter().position(|&b| b == b' ')?;
        let frame = &line[blank + 1..];
        frame.starts_with(b"{\"stream\"").then_some(frame)
    })
}

/// Checks all frames and tells how many were read, and how many of those not by hand.
fn check(path: &str, symbols: &[&str]) -> Option<(usize, usize, usize)> {
    let text = text_of(&data_dir()?.join(path));
    let mut readers = Readers::new(symbols);
    let (mut all, mut read, mut declined) = (0, 0, 0);
    for frame in frames(&text) {
        all += 1;
        if readers.agreed(frame).is_some() {
            read += 1;
            declined += usize::from(readers.by_hand(frame).is_none());
        }
    }
    Some((all, read, declined))
}

#[test]
fn all_futures_frames_of_2024_are_read_by_hand_and_alike() {
    let btc = check("hftbacktest/usdm_btcusdt_20240808.gz", &["BTCUSDT"]);
    let eth = check("hftbacktest/usdm_ethusdt_20240808.gz", &["ETHUSDT"]);
    for (counts, frames) in [(btc, 66_089 + 21_313 + 6_551), (eth, 53_992 + 14_076 + 6_586)] {
        assert!(counts.is_none_or(|counts| counts == (frames, frames, 0)), "{counts:?}");
    }
}

#[test]
fn all_futures_frames_of_2023_and_2021_are_read_by_hand_and_alike() {
    let btc = check("hftbacktest-playground/btcusdt_20230404.dat.gz", &["BTCUSDT"]);
    let thin = check(
        "cryptofeed/BINANCE_FUTURES.ws.1.0.gz",
        &["SUSHIUSDT", "AKROUSDT", "KEEPUSDT", "CTKUSDT"],
    );
    for (counts, frames) in [(btc, 6_765 + 2_197 + 4_322 + 99), (thin, 764 + 613 + 91 + 67)] {
        assert!(counts.is_none_or(|counts| counts == (frames, frames, 0)), "{counts:?}");
    }
}

#[test]
fn no_spot_frame_is_read_by_any_reader() {
    let counts = check("hftbacktest/spot_btcusdt_20240808.gz", &["BTCUSDT"]);
    assert!(counts.is_none_or(|counts| counts == (28_040 + 9_757 + 3_451, 0, 0)), "{counts:?}");
}

#[test]
fn every_documented_payload_is_read_alike_in_all_spellings() {
    let Some(data) = data_dir() else { return };
    let folders = [
        "docs-samples",
        "nautilus/rust-adapter/market_data_json",
        "nautilus/rust-adapter/user_data_json",
        "nautilus/py-adapter",
    ];
    let mut readers = Readers::new(&["BTCUSDT", "BNBUSDT", "ETHUSDT", "BNBBTC"]);
    let (mut files, mut read) = (0, 0);
    for folder in folders {
        for entry in std::fs::read_dir(data.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|kind| kind != "json") {
                continue;
            }
            files += 1;
            let written = std::fs::read(&path).unwrap();
            let plain = readers.agreed(&written);
            let Ok(value) = serde_json::from_slice::<serde_json::Value>(&written) else { continue };
            let compact = value.to_string();
            assert_eq!(readers.agreed(compact.as_bytes()), plain, "{}", path.display());
            read += usize::from(plain.is_some());
        }
    }
    assert!(files > 200 && read >= 12, "{files} files, {read} read");
}
