//! What there is to measure: four charged spheres and an object (quasi-static).
//!
//! A sphere with charge q at c gives E = q (r - c) / |r - c|³. Each channel drives two spheres on a diagonal with opposite signs: DDS1 S3 (+x, -y) and
//! -S4 (-x, +y), DDS2 S1 (-x, -y) and -S2 (+x, +y). Driven in phase, the charges
//! at -y are positive and the field points along y; in opposition, along x.
//! The object is a polarisable point at depth h below the sensor's plane: with the
//! background E0 at its place, p = -c h³ E0, and it adds (3 n (n·p) - p) / r³, so
//! right above it the horizontal field is changed by the share c. Its losses turn
//! a part of that into quadrature.

use crate::mcu::Drive;
use crate::settings::FieldSettings;

type Vector = [f64; 3];

/// In-phase and quadrature voltages: x I, x Q, y I, y Q, z I, z Q.
pub type Voltages = [f64; 6];

/// What one excitation channel does at full level.
#[derive(Debug, Clone, PartialEq)]
struct Source {
    positive: Vector,
    negative: Vector,
    /// Dipole moment that it gives the object.
    dipole: Vector,
}

/// The field over the whole travel.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    settings: FieldSettings,
    sources: [Source; 2],
    object: Vector,
    /// Volts for one unit of field.
    scale: f64,
    rotation: [Vector; 3],
}

impl Field {
    /// Returns the field of an arrangement.
    #[must_use]
    pub fn new(settings: &FieldSettings) -> Self {
        let [x, y] = settings.object_mm;
        let object = [x, y, -settings.object_depth_mm];
        let corner = |sx: f64, sy: f64| {
            let d = settings.sphere_distance_mm;
            let [cx, cy] = settings.centre_mm;
            [cx + sx * d, cy + sy * d, settings.sphere_height_mm]
        };
        let source = |positive, negative| {
            let background = pair(positive, negative, object);
            let strength = settings.object_contrast * settings.object_depth_mm.powi(3);
            Source {
                positive,
                negative,
                dipole: background.map(|e| -strength * e),
            }
        };
        let mut field = Self {
            settings: settings.clone(),
            sources: [
                source(corner(1.0, -1.0), corner(-1.0, 1.0)),
                source(corner(-1.0, -1.0), corner(1.0, 1.0)),
            ],
            object,
            scale: 1.0,
            rotation: rotation(settings.sensor_rotation_deg),
        };
        field.scale = settings.background_v / field.unit_background();
        field
    }

    fn unit_background(&self) -> f64 {
        let [x, y] = self.settings.centre_mm;
        let at = |source: &Source| pair(source.positive, source.negative, [x, y, 0.0]);
        let total = sum(at(&self.sources[0]), at(&self.sources[1]));
        dot(total, total).sqrt()
    }

    /// Returns the voltages at a place of the sensor, without lag, noise or drift.
    #[must_use]
    pub fn voltages(&self, drive: &Drive, x_mm: f64, y_mm: f64) -> Voltages {
        if *drive == Drive::default() {
            return self.settings.baseline_v;
        }
        let place = [x_mm, y_mm, 0.0];
        let [one, two] = self.sources.each_ref().map(|s| self.response(s, place));
        let mut voltages = self.settings.baseline_v;
        for axis in 0..3 {
            let part = |k: usize| {
                let background = one.0[axis] * drive.first[k] + two.0[axis] * drive.second[k];
                let object = one.1[axis] * drive.first[k] + two.1[axis] * drive.second[k];
                (background, object)
            };
            let ((real, object_real), (imaginary, object_imaginary)) = (part(0), part(1));
            let (loss, leak) = (self.settings.object_loss, self.settings.quadrature_leak);
            let in_phase = real + object_real - loss * object_imaginary;
            let quadrature = imaginary + object_imaginary + loss * object_real;
            voltages[2 * axis] += self.scale * in_phase;
            voltages[2 * axis + 1] += self.scale * (quadrature + leak * in_phase);
        }
        voltages
    }

    /// Returns background and object part of one channel, in the sensor's axes.
    fn response(&self, source: &Source, place: Vector) -> (Vector, Vector) {
        let background = pair(source.positive, source.negative, place);
        let object = dipole(source.dipole, difference(place, self.object));
        (self.turned(background), self.turned(object))
    }

    fn turned(&self, vector: Vector) -> Vector {
        self.rotation.map(|row| dot(row, vector))
    }
}

fn pair(positive: Vector, negative: Vector, place: Vector) -> Vector {
    let charge = |centre| {
        let r = difference(place, centre);
        let square = dot(r, r);
        r.map(|component| component / (square * square.sqrt()))
    };
    difference(charge(positive), charge(negative))
}

fn dipole(moment: Vector, r: Vector) -> Vector {
    let square = dot(r, r);
    let cube = square * square.sqrt();
    let along = 3.0 * dot(moment, r) / square;
    [0, 1, 2].map(|i| (along * r[i] - moment[i]) / cube)
}

fn dot(a: Vector, b: Vector) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn sum(a: Vector, b: Vector) -> Vector {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

fn difference(a: Vector, b: Vector) -> Vector {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

/// Rows of the matrix from stage to sensor axes, turned about x, then y, then z.
fn rotation([about_x, about_y, about_z]: Vector) -> [Vector; 3] {
    let (sx, cx) = about_x.to_radians().sin_cos();
    let (sy, cy) = about_y.to_radians().sin_cos();
    let (sz, cz) = about_z.to_radians().sin_cos();
    [
        [cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx],
        [sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx],
        [-sy, cy * sx, cy * cx],
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const IN_PHASE: Drive = Drive {
        first: [1.0, 0.0],
        second: [1.0, 0.0],
    };
    const OPPOSED: Drive = Drive {
        first: [1.0, 0.0],
        second: [-1.0, 0.0],
    };

    fn field() -> Field {
        Field::new(&FieldSettings {
            baseline_v: [0.0; 6],
            ..FieldSettings::default()
        })
    }

    #[test]
    fn channels_in_phase_give_y_and_in_opposition_x() {
        let along_y = field().voltages(&IN_PHASE, 550.0, 550.0);
        assert!(along_y[2].abs() > 8.0 * along_y[0].abs(), "{along_y:?}");
        let along_x = field().voltages(&OPPOSED, 550.0, 550.0);
        assert!(along_x[0].abs() > 8.0 * along_x[2].abs(), "{along_x:?}");
    }

    #[test]
    fn the_object_changes_one_volt_by_15_to_50_millivolts() {
        let above = field().voltages(&IN_PHASE, 635.0, 610.0)[2];
        let beside = field().voltages(&IN_PHASE, 635.0, 410.0)[2];
        assert!((beside - 1.0).abs() < 0.1, "background was {beside} V");
        let bare = Field::new(&FieldSettings {
            object_contrast: 0.0,
            baseline_v: [0.0; 6],
            ..FieldSettings::default()
        });
        let contrast = (above - bare.voltages(&IN_PHASE, 635.0, 610.0)[2]).abs();
        assert!((0.015..0.050).contains(&contrast), "was {contrast} V");
    }

    #[test]
    fn the_contrast_is_gone_a_hundred_millimetres_away() {
        let contrast = |x_mm: f64| {
            let bare = Field::new(&FieldSettings {
                object_contrast: 0.0,
                baseline_v: [0.0; 6],
                ..FieldSettings::default()
            });
            let with = field().voltages(&IN_PHASE, x_mm, 610.0)[2];
            (with - bare.voltages(&IN_PHASE, x_mm, 610.0)[2]).abs()
        };
        assert!(contrast(735.0) < 0.15 * contrast(635.0));
        assert!(contrast(660.0) > 0.3 * contrast(635.0));
    }

    #[test]
    fn voltages_are_linear_in_level() {
        let half = Drive {
            first: [0.5, 0.0],
            second: [0.5, 0.0],
        };
        let whole = field().voltages(&IN_PHASE, 600.0, 600.0);
        let halved = field().voltages(&half, 600.0, 600.0);
        for (a, b) in whole.iter().zip(halved) {
            assert!((a / 2.0 - b).abs() < 1e-12);
        }
    }

    #[test]
    fn quadrature_is_a_small_part_of_the_in_phase_voltage() {
        let v = field().voltages(&IN_PHASE, 635.0, 610.0);
        assert!(v[3].abs() < 0.05 * v[2].abs() && v[3] != 0.0, "{v:?}");
    }
}
