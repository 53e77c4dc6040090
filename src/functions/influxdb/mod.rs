//! Packages below `influxdata/influxdb`.
//!
//! Listed in `functions`. `influxdata/influxdb` itself holds the `from` and `to` of `universe` under a second name.

pub mod tasks;
