//! Plots as SVG text. Not here: what is plotted (that is [`crate::view`]), and where on a page.
//!
//! `plotters` does the coordinates, grids, lines and areas. Marks with tooltips and direct labels are written by `canvas`, which also
//! puts theme colours where plotters knows literal ones. Every axis comes from `axis`, which cannot give plotters a range that it
//! chokes on (an infinite bound hangs it).

pub(crate) mod axis;
pub(crate) mod canvas;
pub(crate) mod dots;
pub mod hero;
pub(crate) mod percentiles;
pub(crate) mod time;
