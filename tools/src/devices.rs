//! Options that say which driver a daemon serves.

use std::path::PathBuf;

use clap::Args;
use flexdirect_server::device::{Choice, Places};

use crate::exit::{Code, Failure};
use crate::places;

/// Which driver.
#[derive(Debug, Args)]
pub(crate) struct DeviceOptions {
    // No doc comment: rustdoc would read the brackets as a link.
    #[arg(
        long,
        value_name = "KIND",
        help = "auto (NVIDIA's GPUs if there are any, else one made of CPUs), nvidia, or soft[:N] \
                [env: FLEXDIRECT_DEVICE]"
    )]
    device: Option<Choice>,
    /// A libcuda to use, by its path
    #[arg(long, value_name = "PATH", hide = true)]
    driver: Option<PathBuf>,
}

impl DeviceOptions {
    /// From the flag, else the environment, else `auto`.
    pub(crate) fn choice(&self) -> Result<Choice, Failure> {
        match (self.device, std::env::var(VARIABLE)) {
            (Some(choice), _) => Ok(choice),
            (None, Ok(text)) => text
                .parse()
                .map_err(|error| Failure::new(Code::Usage, format!("{VARIABLE}={text}: {error}"))),
            (None, Err(_)) => Ok(Choice::Auto),
        }
    }

    pub(crate) fn places(&self) -> Places {
        Places {
            driver: self.driver.clone(),
            soft: places::soft_libraries(),
        }
    }
}

/// Environment variable with the kind of device.
const VARIABLE: &str = "FLEXDIRECT_DEVICE";
