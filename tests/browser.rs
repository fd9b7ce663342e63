//! The dashboard's page in a real browser, headless: the page sees a task appear, adds one,
//! cancels one, answers and reviews, and comes back by itself when the dashboard was away. And the
//! dashboard's process on a real mesh.

mod page;
mod real;
mod scene;
