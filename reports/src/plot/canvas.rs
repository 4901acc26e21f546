//! An SVG of ours around what plotters draws: theme colours, marks with tooltips, labels. Not here: axes, data.
//!
//! Plotters knows whole pixels and literal colours only. So everything is drawn [`SCALE`] times larger under a `viewBox`, and each
//! [`Ink`] has a stand-in colour that [`Canvas::finish`] replaces.

use crate::error::{Error, Result};
use plotters::drawing::DrawingArea;
use plotters::prelude::{IntoDrawingArea, RGBColor, SVGBackend};

/// Units of the drawing in one pixel of the page.
pub(crate) const SCALE: i32 = 10;
/// Hues for models; a model beyond them takes the first one again, with another mark.
pub(crate) const HUES: usize = 8;

/// What plotters draws on.
pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// A colour by its role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    /// The model at a place of the view's list.
    Model(usize),
    /// Text.
    Text,
    /// Lesser text, and marks of what does not count.
    Muted,
    /// Lines of the grid.
    Grid,
    /// What is wrong.
    Bad,
}

impl Ink {
    /// The stand-in that plotters is given.
    pub(crate) fn stand_in(self) -> RGBColor {
        match self {
            Self::Model(place) => RGBColor(1, 0, (place % HUES) as u8),
            Self::Text => RGBColor(2, 0, 0),
            Self::Muted => RGBColor(2, 0, 1),
            Self::Grid => RGBColor(2, 0, 2),
            Self::Bad => RGBColor(2, 0, 3),
        }
    }

    fn hex(self) -> String {
        let RGBColor(r, g, b) = self.stand_in();
        format!("#{r:02X}{g:02X}{b:02X}")
    }
}

/// Where colours come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Theme {
    /// Variables of the page, light or dark.
    Page,
    /// Literal colours for a light ground, for a file that stands alone.
    Alone,
}

/// Literal colours of models on a light ground; the page's style sheet has the same. After Okabe and Ito, darkened where white is behind.
pub(crate) const LIGHT: [&str; HUES] =
    ["#0072b2", "#d55e00", "#00856a", "#b0489a", "#d08a00", "#3aa0d8", "#4a4a4a", "#8a5a2b"];

impl Theme {
    fn color(self, kind: u8, index: usize) -> String {
        match (self, kind) {
            (Self::Page, 1) => format!("var(--m{})", index % HUES),
            (Self::Page, _) => {
                ["var(--ink)", "var(--muted)", "var(--grid)", "var(--bad)"][index % 4].to_owned()
            }
            (Self::Alone, 1) => LIGHT[index % HUES].to_owned(),
            (Self::Alone, _) => ["#1b1f24", "#5d6670", "#dfe3e8", "#b3261e"][index % 4].to_owned(),
        }
    }
}

/// A drawing in the making. Sizes in pixels of the page.
#[derive(Debug)]
pub(crate) struct Canvas {
    width: i32,
    height: i32,
    below: String,
    marks: String,
}

/// How text is set against its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    /// It begins there.
    Start,
    /// It ends there.
    End,
}

impl Canvas {
    pub(crate) fn new(width: i32, height: i32) -> Self {
        Self { width, height, below: String::new(), marks: String::new() }
    }

    /// Lets plotters draw; marks lie above whatever it draws.
    ///
    /// # Errors
    /// [`Error::Plot`] of plotters.
    pub(crate) fn draw<T>(&mut self, paint: impl FnOnce(&Area<'_>) -> Result<T>) -> Result<T> {
        let size = ((self.width * SCALE) as u32, (self.height * SCALE) as u32);
        let mut svg = String::new();
        let made = {
            let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
            let made = paint(&root)?;
            root.present().map_err(|e| Error::Plot(e.to_string()))?;
            made
        };
        // Only what stands between the root's tags: the root is ours.
        let inner = svg.find('>').zip(svg.rfind("</svg>")).and_then(|(open, close)| svg.get(open + 1..close));
        self.below.push_str(inner.unwrap_or_default());
        Ok(made)
    }

    /// A mark at drawing coordinates, its shape by the model's place, with a tooltip. Hollow for what is only suspect.
    pub(crate) fn mark(&mut self, at: (i32, i32), ink: Ink, radius: i32, hollow: bool, tip: &str) {
        let (x, y) = at;
        let r = radius * SCALE;
        let shape = match ink {
            Ink::Model(place) => place % 4,
            _ => 0,
        };
        let color = ink.hex();
        let paint = if hollow {
            format!(r#"fill="none" stroke="{color}" stroke-width="14""#)
        } else {
            format!(r#"fill="{color}""#)
        };
        let points = |list: &[(i32, i32)]| {
            list.iter().map(|(dx, dy)| format!("{},{}", x + dx, y + dy)).collect::<Vec<_>>().join(" ")
        };
        let tip = escape(tip);
        self.marks.push_str(&match shape {
            1 => format!(
                r#"<rect x="{}" y="{}" width="{}" height="{}" {paint}><title>{tip}</title></rect>"#,
                x - r * 9 / 10,
                y - r * 9 / 10,
                r * 9 / 5,
                r * 9 / 5
            ),
            2 => {
                let p = points(&[(0, -r * 6 / 5), (r * 11 / 10, r * 4 / 5), (-r * 11 / 10, r * 4 / 5)]);
                format!(r#"<polygon points="{p}" {paint}><title>{tip}</title></polygon>"#)
            }
            3 => {
                let p = points(&[(0, -r * 13 / 10), (r * 13 / 10, 0), (0, r * 13 / 10), (-r * 13 / 10, 0)]);
                format!(r#"<polygon points="{p}" {paint}><title>{tip}</title></polygon>"#)
            }
            _ => format!(r#"<circle cx="{x}" cy="{y}" r="{r}" {paint}><title>{tip}</title></circle>"#),
        });
        self.marks.push('\n');
    }

    /// A cross at drawing coordinates, for a trial that does not count.
    pub(crate) fn cross(&mut self, at: (i32, i32), radius: i32, tip: &str) {
        let ((x, y), r) = (at, radius * SCALE);
        self.marks.push_str(&format!(
            "<path d=\"M{} {}l{d} {d}m0 -{d}l-{d} {d}\" stroke=\"{}\" stroke-width=\"16\" fill=\"none\"><title>{}</title></path>\n",
            x - r,
            y - r,
            Ink::Bad.hex(),
            escape(tip),
            d = 2 * r
        ));
    }

    /// A straight line at drawing coordinates, `width` in tenths of a pixel.
    pub(crate) fn line(&mut self, from: (i32, i32), to: (i32, i32), ink: Ink, width: i32) {
        self.marks.push_str(&format!(
            "<path d=\"M{} {}L{} {}\" stroke=\"{}\" stroke-width=\"{width}\" fill=\"none\"/>\n",
            from.0,
            from.1,
            to.0,
            to.1,
            ink.hex()
        ));
    }

    /// Text at drawing coordinates, centred on the line; `size` in pixels.
    pub(crate) fn text(
        &mut self,
        at: (i32, i32),
        text: &str,
        ink: Ink,
        anchor: Anchor,
        size: i32,
        bold: bool,
    ) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::End => "end",
        };
        self.marks.push_str(&format!(
            "<text x=\"{}\" y=\"{}\" dy=\".35em\" font-family=\"sans-serif\" font-size=\"{}\"{} text-anchor=\"{anchor}\" fill=\"{}\">{}</text>\n",
            at.0,
            at.1,
            size * SCALE,
            if bold { " font-weight=\"600\"" } else { "" },
            ink.hex(),
            escape(text)
        ));
    }

    /// The drawing for a page: `label` is what a screen reader says, `class` is for its style sheet.
    pub(crate) fn finish(self, class: &str, label: &str) -> String {
        let head = format!(
            "<svg class=\"plot {class}\" viewBox=\"0 0 {} {}\" width=\"{}\" height=\"{}\" role=\"img\" aria-label=\"{}\">",
            self.width * SCALE,
            self.height * SCALE,
            self.width,
            self.height,
            escape(label)
        );
        format!("{head}\n{}</svg>", themed(&(self.below + &self.marks), Theme::Page))
    }

    /// The drawing as a file, on a ground of its own.
    pub(crate) fn finish_alone(self, label: &str) -> String {
        let (w, h) = (self.width * SCALE, self.height * SCALE);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {h}\" width=\"{}\" height=\"{}\" role=\"img\">\n<title>{}</title>\n\
             <rect width=\"{w}\" height=\"{h}\" rx=\"80\" fill=\"#ffffff\"/>\n{}</svg>\n",
            self.width,
            self.height,
            escape(label),
            themed(&(self.below + &self.marks), Theme::Alone)
        )
    }
}

/// Puts a theme's colours in the place of the stand-ins. Text cannot be hit: a quotation mark in it is escaped.
fn themed(svg: &str, theme: Theme) -> String {
    const OPEN: &str = "=\"#";
    let mut out = String::with_capacity(svg.len() + svg.len() / 4);
    let mut rest = svg;
    while let Some(at) = rest.find(OPEN) {
        let hex = at + OPEN.len();
        let byte = |i: usize| rest.get(hex + i..hex + i + 2).and_then(|s| u8::from_str_radix(s, 16).ok());
        if let (Some(kind), Some(index)) = (byte(0), byte(4)) {
            out.push_str(&rest[..hex - 1]);
            out.push_str(&theme.color(kind, usize::from(index)));
            rest = &rest[hex + 6..];
        } else {
            out.push_str(&rest[..hex]);
            rest = &rest[hex..];
        }
    }
    out.push_str(rest);
    out
}

/// Text as it may stand in SVG and HTML, between tags and in attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// Estimated width of text in pixels. Without a font there is no measuring; this is on the generous side for sans-serif faces.
pub(crate) fn text_width(text: &str, size: i32) -> i32 {
    let em: f64 = text
        .chars()
        .map(|c| match c {
            'i' | 'j' | 'l' | 't' | 'f' | '.' | ',' | ':' | ' ' | '\u{a0}' | '\u{202f}' | '|' => 0.38,
            'm' | 'w' | 'M' | 'W' | '%' => 0.95,
            c if c.is_ascii() => 0.66,
            _ => 0.8,
        })
        .sum();
    (em * f64::from(size)).ceil() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stand_ins_become_colours_of_the_theme() {
        let svg = r##"<path stroke="#010009" fill="none"/><text fill="#020001">="#01</text>"##;
        let page = themed(svg, Theme::Page);
        assert_eq!(page, r##"<path stroke="var(--m1)" fill="none"/><text fill="var(--muted)">="#01</text>"##);
        assert!(themed(svg, Theme::Alone).contains(LIGHT[1]));
        assert_eq!(themed("x=\"#é", Theme::Page), "x=\"#é");
    }

    #[test]
    fn text_cannot_open_a_tag() {
        let mut canvas = Canvas::new(10, 10);
        canvas.text((0, 0), "<script>&\"'", Ink::Text, Anchor::End, 12, true);
        canvas.mark((1, 1), Ink::Model(2), 3, false, "</title><script>");
        let svg = canvas.finish("x", "\"><script>");
        assert!(!svg.contains("<script") && svg.contains("&lt;script&gt;&amp;&quot;&#39;"), "{svg}");
    }
}
