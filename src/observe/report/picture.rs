//! The equity curve as a PNG: 640 × 240, four colours, no library but the compressor that is there.
//!
//! A PNG is a signature and chunks of length, name, content and CRC-32 (ISO/IEC 15948): the header,
//! the palette, the rows behind a zero each (no filter) as one zlib stream, the end.

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};
use std::io::Write;

/// Width in pixels.
pub const WIDTH: usize = 640;
/// Height in pixels.
pub const HEIGHT: usize = 240;
const MARGIN: usize = 14;
const SIGNATURE: [u8; 8] = [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n'];
/// Red, green, blue: ground, grid, curve, text.
const PALETTE: [u8; 12] = [255, 255, 255, 222, 226, 230, 25, 98, 196, 60, 64, 70];
const GROUND: u8 = 0;
const GRID: u8 = 1;
const CURVE: u8 = 2;
const TEXT: u8 = 3;
/// Pixels of a dot of a letter.
const DOT: usize = 2;

/// Rows of five bits' width three, for the digits, the point and the minus.
const LETTERS: [(char, [u8; 5]); 12] = [
    ('0', [7, 5, 5, 5, 7]),
    ('1', [2, 6, 2, 2, 7]),
    ('2', [7, 1, 7, 4, 7]),
    ('3', [7, 1, 7, 1, 7]),
    ('4', [5, 5, 7, 1, 1]),
    ('5', [7, 4, 7, 1, 7]),
    ('6', [7, 4, 7, 5, 7]),
    ('7', [7, 1, 1, 1, 1]),
    ('8', [7, 5, 7, 5, 7]),
    ('9', [7, 5, 7, 1, 7]),
    ('.', [0, 0, 0, 0, 2]),
    ('-', [0, 0, 7, 0, 0]),
];

/// The picture of a curve of times and equity (1e-8) over the period from `from` to `to`.
pub fn png(curve: &[(i64, i64)], from: i64, to: i64) -> Vec<u8> {
    encode(&draw(curve, from, to))
}

fn draw(curve: &[(i64, i64)], from: i64, to: i64) -> Vec<u8> {
    let mut canvas = vec![GROUND; WIDTH * HEIGHT];
    let (left, right) = (MARGIN, WIDTH - MARGIN);
    let (top, bottom) = (2 * MARGIN, HEIGHT - 2 * MARGIN);
    for step in 0..=4 {
        let y = top + (bottom - top) * step / 4;
        canvas[y * WIDTH + left..y * WIDTH + right].fill(GRID);
    }
    let values = curve.iter().map(|(_, equity)| *equity);
    let (Some(low), Some(high)) = (values.clone().min(), values.max()) else { return canvas };
    let span = (high - low).max(1) as f64;
    let place = |ts: i64, equity: i64| {
        let along = (ts - from) as f64 / (to - from).max(1) as f64;
        let x = left as f64 + along.clamp(0.0, 1.0) * (right - left - 1) as f64;
        let y = bottom as f64 - (equity - low) as f64 / span * (bottom - top) as f64;
        (x.round() as usize, y.round() as usize)
    };
    let mut last: Option<(usize, usize)> = None;
    for &(ts, equity) in curve {
        let (x, y) = place(ts, equity);
        let (from_x, from_y) = last.unwrap_or((x, y));
        // A step function: along at the old height, then up or down.
        for column in from_x..=x {
            canvas[from_y * WIDTH + column] = CURVE;
        }
        for row in from_y.min(y)..=from_y.max(y) {
            canvas[row * WIDTH + x] = CURVE;
        }
        last = Some((x, y));
    }
    let label = |amount: i64| format!("{:.2}", amount as f64 / crate::base::units::SCALE as f64);
    write(&mut canvas, left, MARGIN / 2, &label(high));
    write(&mut canvas, left, HEIGHT - MARGIN - MARGIN / 2, &label(low));
    canvas
}

fn write(canvas: &mut [u8], mut x: usize, y: usize, text: &str) {
    for letter in text.chars() {
        let rows = LETTERS.iter().find(|(known, _)| *known == letter).map_or([0; 5], |l| l.1);
        for (row, bits) in rows.into_iter().enumerate() {
            for column in (0..3).filter(|column| bits & (4 >> column) != 0) {
                for dot in 0..DOT * DOT {
                    let (dx, dy) = (column * DOT + dot % DOT, row * DOT + dot / DOT);
                    if x + dx < WIDTH && y + dy < HEIGHT {
                        canvas[(y + dy) * WIDTH + x + dx] = TEXT;
                    }
                }
            }
        }
        x += 4 * DOT;
    }
}

fn encode(canvas: &[u8]) -> Vec<u8> {
    let mut header = Vec::with_capacity(13);
    header.extend_from_slice(&(WIDTH as u32).to_be_bytes());
    header.extend_from_slice(&(HEIGHT as u32).to_be_bytes());
    // Eight bits a pixel, palette, deflate, no filter method but 0, not interlaced.
    header.extend_from_slice(&[8, 3, 0, 0, 0]);
    let mut rows = ZlibEncoder::new(Vec::new(), Compression::default());
    for row in canvas.chunks(WIDTH) {
        // A vector takes whatever is written to it.
        let _ = rows.write_all(&[0]).and_then(|()| rows.write_all(row));
    }
    let rows = rows.finish().unwrap_or_default();
    let mut png = SIGNATURE.to_vec();
    for (name, content) in
        [(b"IHDR", &header[..]), (b"PLTE", &PALETTE), (b"IDAT", &rows), (b"IEND", &[])]
    {
        png.extend_from_slice(&(content.len() as u32).to_be_bytes());
        let mut crc = Crc::new();
        crc.update(name);
        crc.update(content);
        png.extend_from_slice(name);
        png.extend_from_slice(content);
        png.extend_from_slice(&crc.sum().to_be_bytes());
    }
    png
}
