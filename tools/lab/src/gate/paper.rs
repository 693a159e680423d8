//! Lines of text as a PDF of A4 pages: two standard fonts, no date, no identity, nothing
//! compressed. The same lines give the same bytes.

use pdf_writer::{Content, Finish, Name, Pdf, Rect, Ref, Str, TextStr};

/// A4, points.
const PAGE: [f32; 2] = [595.0, 842.0];
const MARGIN: f32 = 42.0;
/// Below this the next page begins.
const FLOOR: f32 = 60.0;
/// Size of most text, points.
pub const BODY: f32 = 8.0;
const FOOT: f32 = 7.0;
const PLAIN: Name<'static> = Name(b"F1");
const BOLD: Name<'static> = Name(b"F2");
/// References of catalog, page tree, both fonts, document information; pages follow.
const FIRST_PAGE: i32 = 10;

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// What it says; anything beyond printable ASCII becomes `?`.
    pub text: String,
    /// Size in points, 1 to 72.
    pub size: f32,
    /// In bold letters.
    pub bold: bool,
    /// Red, green, blue, each 0 to 1.
    pub colour: [f32; 3],
}

impl Line {
    /// Black text of the usual size.
    pub fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), size: BODY, bold: false, colour: [0.0; 3] }
    }

    /// A heading of that size.
    pub fn heading(text: impl Into<String>, size: f32) -> Self {
        Self { text: text.into(), size, bold: true, colour: [0.0; 3] }
    }

    /// In another colour.
    pub fn coloured(self, colour: [f32; 3]) -> Self {
        Self { colour, ..self }
    }
}

/// The lines as a document; each page ends with `foot` and its number.
pub fn pdf(title: &str, lines: &[Line], foot: &str) -> Vec<u8> {
    let pages = paged(lines);
    let mut pdf = Pdf::new();
    let [catalog, tree, plain, bold, about] = [1, 2, 3, 4, 5].map(Ref::new);
    let page = |at: usize| FIRST_PAGE + 2 * i32::try_from(at).unwrap_or(i32::MAX / 4);
    pdf.catalog(catalog).pages(tree);
    let kids = (0..pages.len()).map(|at| Ref::new(page(at)));
    pdf.pages(tree).kids(kids).count(i32::try_from(pages.len()).unwrap_or(i32::MAX));
    for (font, name) in [(plain, &b"Courier"[..]), (bold, b"Courier-Bold")] {
        let mut font = pdf.type1_font(font);
        font.base_font(Name(name)).encoding_predefined(Name(b"WinAnsiEncoding"));
    }
    pdf.document_info(about).title(TextStr(&printable(title)));
    for (at, lines) in pages.iter().enumerate() {
        let (own, text) = (Ref::new(page(at)), Ref::new(page(at) + 1));
        let mut leaf = pdf.page(own);
        leaf.media_box(Rect::new(0.0, 0.0, PAGE[0], PAGE[1])).parent(tree).contents(text);
        leaf.resources().fonts().pair(PLAIN, plain).pair(BOLD, bold);
        leaf.finish();
        let foot = format!("{foot}   page {} of {}", at + 1, pages.len());
        pdf.stream(text, &drawn(lines, &foot));
    }
    pdf.finish()
}

/// What follows from a line to the next, points.
fn step(line: &Line) -> f32 {
    line.size * 1.4
}

fn paged(lines: &[Line]) -> Vec<Vec<&Line>> {
    let mut pages = vec![Vec::new()];
    let mut room = PAGE[1] - MARGIN - FLOOR;
    for line in lines {
        room -= step(line);
        if room < 0.0 {
            pages.push(Vec::new());
            room = PAGE[1] - MARGIN - FLOOR - step(line);
        }
        if let Some(page) = pages.last_mut() {
            page.push(line);
        }
    }
    pages
}

fn drawn(lines: &[&Line], foot: &str) -> Vec<u8> {
    let mut content = Content::new();
    let mut at = PAGE[1] - MARGIN;
    let mut put = |line: &Line, at: f32| {
        let [red, green, blue] = line.colour;
        content.begin_text();
        content.set_fill_rgb(red, green, blue);
        content.set_font(if line.bold { BOLD } else { PLAIN }, line.size);
        content.next_line(MARGIN, at);
        content.show(Str(printable(&line.text).as_bytes()));
        content.end_text();
    };
    for line in lines {
        at -= step(line);
        put(line, at);
    }
    put(&Line { size: FOOT, ..Line::plain(foot) }, MARGIN - FOOT);
    content.finish().into_vec()
}

/// Printable ASCII alone, so that one byte is one letter.
fn printable(text: &str) -> String {
    text.chars().map(|c| if matches!(c, ' '..='~') { c } else { '?' }).collect()
}
