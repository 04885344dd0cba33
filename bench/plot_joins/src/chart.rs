//! Lines into an SVG that reads well on white, in a page of whatever colour.

use std::error::Error;

use plotters::{
    coord::{Shift, types::RangedCoordf64},
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use crate::rows::{Line, Point};

const SIZE: (u32, u32) = (820, 480);
/// Colours that also differ in lightness, for those who see fewer.
const COLOURS: [RGBColor; 3] = [RGBColor(0, 90, 160), RGBColor(200, 70, 20), RGBColor(70, 130, 50)];
const GREY: RGBColor = RGBColor(225, 225, 225);
/// How far a point's ratio stands off, in pixels.
const OFF: i32 = 10;

type Chart<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
type Outcome = Result<(), Box<dyn Error>>;

/// The chart of all lines.
///
/// # Errors
/// Those of the library that draws.
pub fn svg(lines: &[Line]) -> Result<String, Box<dyn Error>> {
    let mut text = String::new();
    let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
    draw(&area, lines)?;
    area.present()?;
    drop(area);
    Ok(text)
}

fn draw(area: &DrawingArea<SVGBackend<'_>, Shift>, lines: &[Line]) -> Outcome {
    area.fill(&WHITE)?;
    let area = area
        .titled("Joins a second against rooms registered", ("sans-serif", 27))?
        .titled("×: of the figure without rooms that was measured by turns with this one", ("sans-serif", 18))?;
    let points = || lines.iter().flat_map(|line| &line.points);
    let right = points().map(|point| place(point.rooms)).fold(1.0, f64::max);
    let top = points().map(|point| point.joins).fold(1.0, f64::max) * 1.15;
    let mut chart = ChartBuilder::on(&area)
        .margin(14)
        .x_label_area_size(52)
        .y_label_area_size(78)
        .build_cartesian_2d(-0.15..right + 0.25, 0.0..top)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GREY)
        .axis_style(BLACK)
        .y_labels(8)
        .x_labels(steps(right))
        .x_label_formatter(&|place| rooms_at(*place))
        .y_label_formatter(&|joins| thousands(*joins))
        .x_desc("rooms registered besides those of the callers (logarithmic, but for 0)")
        .y_desc("joins a second")
        .label_style(("sans-serif", 18))
        .axis_desc_style(("sans-serif", 19))
        .draw()?;
    for (line, colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        draw_line(&mut chart, line, *colour)?;
    }
    for point in points() {
        draw_ratio(&chart, point, is_lowest(point, lines))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::MiddleRight)
        .background_style(WHITE)
        .label_font(("sans-serif", 18))
        .margin(10)
        .draw()?;
    Ok(())
}

fn draw_line(chart: &mut Chart<'_>, line: &Line, colour: RGBColor) -> Outcome {
    let places: Vec<(f64, f64)> = line.points.iter().map(|point| (place(point.rooms), point.joins)).collect();
    chart
        .draw_series([PathElement::new(places.clone(), colour.stroke_width(2))])?
        .label(&line.backend)
        .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(3)));
    chart.draw_series(places.into_iter().map(|place| Circle::new(place, 4, colour.filled())))?;
    Ok(())
}

/// The ratio stands above its point, or below it where other lines run above.
fn draw_ratio(chart: &Chart<'_>, point: &Point, below: bool) -> Outcome {
    let Some(ratio) = point.ratio else { return Ok(()) };
    let (vertical, off) = if below { (VPos::Top, OFF) } else { (VPos::Bottom, -OFF) };
    let style = ("sans-serif", 17).into_text_style(chart.plotting_area()).pos(Pos::new(HPos::Center, vertical));
    let text =
        EmptyElement::at((place(point.rooms), point.joins)) + Text::new(format!("{ratio:.2} ×"), (0, off), style);
    chart.plotting_area().draw(&text)?;
    Ok(())
}

/// Whether other lines have points at the same place, all of them higher.
fn is_lowest(point: &Point, lines: &[Line]) -> bool {
    let mut others = lines.iter().flat_map(|line| &line.points);
    lines.len() > 1 && others.all(|other| other.rooms != point.rooms || other.joins >= point.joins)
}

/// Where rooms are on the axis: 0 at 0, 1,000 at 1, ten times as many one further on.
fn place(rooms: u32) -> f64 {
    if rooms == 0 { 0.0 } else { (f64::from(rooms).log10() - 2.0).max(0.1) }
}

/// So many places bear a label.
fn steps(right: f64) -> usize {
    (0..16_u8).filter(|step| f64::from(*step) <= right + 0.25).count()
}

fn rooms_at(place: f64) -> String {
    if (place - place.round()).abs() > 1e-6 {
        return String::new();
    }
    if place.round() == 0.0 { "0".to_owned() } else { thousands(10_f64.powf(place.round() + 2.0)) }
}

/// A whole number with its thousands set apart.
fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
