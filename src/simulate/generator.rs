//! One emergency generator: a small model of load, fuel, temperature and power, and the JSON that it sends.
//!
//! Used by the fleet. Pure: time and randomness are handed in, so equal seeds give equal messages.

use rand::Rng;
use rand::rngs::StdRng;

/// Litres in a full tank.
const TANK_LITRES: f64 = 1000.0;
/// A tank below this is refilled at the next stop of the tanker.
const REFILL_BELOW_LITRES: f64 = 120.0;
/// Kilowatts at full load.
const RATED_KILOWATTS: f64 = 250.0;

/// A generator and its present state.
#[derive(Clone, Debug)]
pub struct Generator {
    /// Its name, also its MQTT client id.
    pub id: String,
    latitude: f64,
    longitude: f64,
    /// Share of full load, 0 to 1.
    load: f64,
    fuel_litres: f64,
    temperature_celsius: f64,
}

impl Generator {
    /// The generator of a number, in a state that its randomness chooses.
    pub fn new(number: usize, random: &mut StdRng) -> Self {
        let load = random.random_range(0.2..0.9);
        Generator {
            id: format!("generator{number}"),
            latitude: random.random_range(25.0..49.0),
            longitude: random.random_range(-124.0..-67.0),
            load,
            fuel_litres: random.random_range(REFILL_BELOW_LITRES..TANK_LITRES),
            temperature_celsius: 20.0 + 60.0 * load,
        }
    }

    /// Lets `seconds` pass: load stays mostly steady and sometimes jumps, fuel falls with it and is refilled, temperature
    /// follows slowly.
    pub fn advance(&mut self, seconds: f64, random: &mut StdRng) {
        if random.random_bool(0.05) {
            self.load = random.random_range(0.1..1.0);
        } else {
            self.load = (self.load + random.random_range(-0.01..0.01)).clamp(0.05, 1.0);
        }
        // About eight hours from full to empty at full load.
        self.fuel_litres -= self.load * seconds * TANK_LITRES / (8.0 * 3600.0);
        if self.fuel_litres < REFILL_BELOW_LITRES {
            self.fuel_litres = TANK_LITRES;
        }
        let goal = 20.0 + 60.0 * self.load;
        self.temperature_celsius += (goal - self.temperature_celsius) * (seconds / 120.0).min(1.0);
    }

    /// The MQTT topic that it publishes on.
    pub fn topic(&self) -> String {
        format!("emergency_generator/{}", self.id)
    }

    /// What it sends: flat JSON; with `time_ns` only when it reports the past.
    pub fn payload(&self, time_ns: Option<i64>) -> String {
        let round = |value: f64| (value * 100.0).round() / 100.0;
        let mut message = serde_json::json!({
            "generatorID": self.id,
            "lat": (self.latitude * 1e4).round() / 1e4,
            "lon": (self.longitude * 1e4).round() / 1e4,
            "temperature": round(self.temperature_celsius),
            "power": round(self.load * RATED_KILOWATTS),
            "load": round(self.load * 100.0),
            "fuel": round(self.fuel_litres),
        });
        if let Some(time_ns) = time_ns {
            message["time"] = time_ns.into();
        }
        message.to_string()
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn a_day_of_work_stays_within_the_machine() {
        let mut random = StdRng::seed_from_u64(7);
        let mut generator = Generator::new(3, &mut random);
        let mut refills = 0;
        for _ in 0..24 * 360 {
            let before = generator.fuel_litres;
            generator.advance(10.0, &mut random);
            refills += usize::from(generator.fuel_litres > before);
            assert!((0.0..=TANK_LITRES).contains(&generator.fuel_litres));
            assert!((0.05..=1.0).contains(&generator.load));
            assert!((0.0..=100.0).contains(&generator.temperature_celsius));
        }
        assert!(refills > 0, "a day empties the tank more than once");
    }

    #[test]
    fn a_message_is_flat_json_and_carries_time_only_for_the_past() {
        let mut random = StdRng::seed_from_u64(7);
        let generator = Generator::new(3, &mut random);
        let live: serde_json::Value = serde_json::from_str(&generator.payload(None)).expect("JSON");
        let names: Vec<&str> = live.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(names, ["fuel", "generatorID", "lat", "load", "lon", "power", "temperature"]);
        let past: serde_json::Value = serde_json::from_str(&generator.payload(Some(17))).expect("JSON");
        assert_eq!(past["time"], 17);
    }
}
