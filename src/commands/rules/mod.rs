//! `jacquemart rules`.

mod attack;
mod cases;
mod check;
mod coverage;
mod explain;
mod explain_correlation;
mod live;
mod policy;
mod test;

use crate::{
    Exit, Failure,
    cli::{Global, rules::Rules},
    commands::load_config,
};

pub(crate) async fn run(global: &Global, args: Rules) -> Result<Exit, Failure> {
    match args {
        Rules::Check { paths, warnings, placeholders } => {
            let lists = match placeholders {
                Some(folder) => Some(folder),
                None => load_config(global)?.rules.placeholders,
            };
            check::run(global.output, &paths, warnings, lists.as_deref())
        }
        Rules::Test { paths, strict, verbose } => {
            let paths = match paths.is_empty() {
                true => load_config(global)?.rules.paths,
                false => paths,
            };
            test::run(global, &paths, strict, verbose)
        }
        Rules::Explain(args) => explain::run(global, &args),
        Rules::Coverage(args) => coverage::run(global, args).await,
        Rules::List { at, server } => live::list(global, at, &server).await,
        Rules::Show { id, server } => live::show(global, &id, &server).await,
        Rules::Status { server } => live::status(global, &server).await,
        Rules::Reload { server } => live::reload(global, &server).await,
        Rules::Policy { commune, at, server } => policy::show(global, &commune, at, &server).await,
        Rules::Disable(choice) => policy::choose(global, choice, "disabled").await,
        Rules::Enable(choice) => policy::choose(global, choice, "enabled").await,
        Rules::Reset { select, commune, server } => {
            policy::reset(global, &select, &commune, &server).await
        }
        Rules::Level { select, level, commune, reason, server } => {
            policy::level(global, &select, &level, &commune, &reason, &server).await
        }
        Rules::Exception(exception) => policy::exception(global, exception).await,
    }
}
