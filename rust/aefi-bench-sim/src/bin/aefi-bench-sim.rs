//! Serves the simulated bench on two pseudo-terminals until it is interrupted.

use std::error::Error;
use std::fs;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use aefi_bench_sim::serve::{ServeOptions, Server};
use aefi_bench_sim::{BenchSettings, Pacing};

const USAGE: &str = "\
usage: aefi-bench-sim [options]
  --baud CODE     baud code of the stage, 1 (9600, as shipped) to 5 (115200)
  --unpaced       no line at all: not physical, for testing clients only
  --seed N        seed of noise, jitter and tick phase
  --truth FILE    writes what really happened, as JSON lines
  --links DIR     makes the links DIR/stage and DIR/acquisition
  --faults FILE   script of what goes wrong, lines \"at 1.5s do lose-reply\"
";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("aefi-bench-sim: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    match parse(std::env::args().skip(1))? {
        Some((settings, options)) => serve(settings, options)?,
        None => print!("{USAGE}"),
    }
    Ok(())
}

type Parsed = Option<(BenchSettings, ServeOptions)>;

/// Returns what the arguments ask for, `None` for help.
fn parse(mut words: impl Iterator<Item = String>) -> Result<Parsed, Box<dyn Error>> {
    let mut settings = BenchSettings::default();
    let mut options = ServeOptions::default();
    while let Some(word) = words.next() {
        let mut value = || {
            let missing = format!("{word}: expected a value, received none");
            words.next().ok_or(missing)
        };
        match word.as_str() {
            "--baud" => settings.stage.baud_code = baud_code(&value()?)?,
            "--unpaced" => unpace(&mut settings),
            "--seed" => settings.seed = value()?.parse()?,
            "--truth" => options.truth = Some(value()?.into()),
            "--links" => options.link_folder = Some(value()?.into()),
            "--faults" => options.faults = fs::read_to_string(value()?)?.parse()?,
            "--help" | "-h" => return Ok(None),
            _ => return Err(format!("{word}: no such option\n{USAGE}").into()),
        }
    }
    Ok(Some((settings, options)))
}

fn baud_code(text: &str) -> Result<u8, String> {
    let code = text.parse().ok().filter(|code| (1..=5).contains(code));
    code.ok_or_else(|| format!("--baud: expected a code from 1 to 5, received {text:?}"))
}

fn unpace(settings: &mut BenchSettings) {
    settings.stage.pacing = Pacing::Unpaced;
    settings.acquisition.pacing = Pacing::Unpaced;
}

fn serve(settings: BenchSettings, options: ServeOptions) -> Result<(), Box<dyn Error>> {
    let mut server = Server::open(settings, options)?;
    let stop = Arc::new(AtomicBool::new(false));
    stop_on_signals(&stop)?;
    let mut out = std::io::stdout();
    writeln!(out, "stage {}", server.stage_path().display())?;
    writeln!(out, "acquisition {}", server.acquisition_path().display())?;
    out.flush()?;
    Ok(server.run(&stop)?)
}

#[cfg(unix)]
fn stop_on_signals(stop: &Arc<AtomicBool>) -> std::io::Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(stop))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn stop_on_signals(_stop: &Arc<AtomicBool>) -> std::io::Result<()> {
    Ok(())
}
