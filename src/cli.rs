//! The command line. Parses, chooses the verb, and turns its result into an exit code; does nothing else.

use std::{ffi::OsString, process::ExitCode};

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::command::{self, Exit, Global, Terminal, error};

/// Lists the verbs, in the order of the help; the doc comment of a verb's arguments is its help.
///
/// A verb is a module of `command` with `Args` and `run(Args, &Global)`. A verb that only reads stack files, listed after
/// `reading`, has `run(&Args, root, kinds, out)` instead, and may name its arguments otherwise.
macro_rules! verbs {
    ($($variant:ident: $module:ident),+; reading: $($reader:ident: $reads:ident($args:ident)),* $(,)?) => {
        #[derive(Debug, Subcommand)]
        enum Verb {
            $($variant(command::$module::Args),)+
            $($reader(command::$reads::$args),)*
        }

        impl Verb {
            async fn run(self, global: &Global) -> command::Result<Exit> {
                match self {
                    $(Self::$variant(args) => command::$module::run(args, global).await,)+
                    $(Self::$reader(args) => {
                        command::read(global, |root, kinds, out| command::$reads::run(&args, root, kinds, out))
                    })*
                }
            }
        }
    };
}

verbs! {
    Up: up,
    Diff: diff,
    Teardown: teardown,
    Adopt: adopt,
    Protect: protect,
    Unprotect: unprotect,
    Status: status,
    Alarms: alarms,
    Run: run_now,
    Logs: logs,
    Build: build,
    Cost: cost,
    Produce: produce,
    Query: query,
    Dashboard: dashboard,
    State: state,
    Lock: lock,
    Local: local,
    Init: init,
    Doctor: doctor,
    Completions: completions;
    reading:
    Validate: validate(ValidateArgs),
    Explain: explain(ExplainArgs),
    Graph: graph(GraphArgs),
    Schema: schema(SchemaArgs),
}

const EXAMPLES: &str = "\
Examples:
  ecomctl up local          bring the pipeline up on this machine
  ecomctl status local      see what it is doing
  ecomctl diff staging      see what `ecomctl up staging` would change; changes nothing
  ecomctl teardown local    delete it again, after asking
";

/// Provisions and deploys a real-time e-commerce data pipeline: on AWS, or on this machine.
///
/// A stack is a file in `stacks/`. `ecomctl up <STACK>` makes the world as the file says; running it again changes
/// nothing, and running it again after an interruption continues. Results go to standard output, progress and errors
/// to standard error.
#[derive(Debug, Parser)]
#[command(name = "ecomctl", version, max_term_width = 100, after_help = EXAMPLES, after_long_help = long_help())]
#[command(
    disable_help_subcommand = true,
    arg_required_else_help = true,
    subcommand_value_name = "VERB",
    subcommand_help_heading = "Verbs"
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

fn long_help() -> String {
    format!(
        "{EXAMPLES}\n{}\n\nFiles are written below `.ecomctl/` of the project only, or below $ECOMCTL_HOME.",
        Exit::table()
    )
}

/// Runs the program with these arguments; the first is its own name.
pub fn main(args: &[OsString]) -> ExitCode {
    // A shell that asks for completions says so in the environment; it gets them, and nothing else happens.
    match clap_complete::CompleteEnv::with_factory(Cli::command).try_complete(args, None) {
        Ok(true) => return Exit::Done.into(),
        Ok(false) => (),
        Err(err) => return misused(&err, args),
    }
    let cli = match Cli::try_parse_from(args) {
        Ok(it) => it,
        Err(err) => return misused(&err, args),
    };
    let terminal = cli.global.terminal();
    if let Verb::Local(args) = &cli.verb
        && let Some(code) = args.exec(&terminal)
    {
        return code;
    }
    let exit = ended(cli, &terminal);
    match terminal.unwritten() {
        // Nobody must take a result that is cut short for one.
        Some(err) if exit == Exit::Done || exit == Exit::Changes => {
            let err = command::Error::from(command::Failed::Unwritten(err));
            err.show(&terminal);
            err.exit().into()
        }
        _ => exit.into(),
    }
}

/// Runs the verb to its end, and shows why it failed.
fn ended(cli: Cli, terminal: &Terminal) -> Exit {
    let result = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(error::internal);
    let result = result.and_then(|it| it.block_on(cli.verb.run(&cli.global)));
    result.unwrap_or_else(|err| {
        err.show(terminal);
        err.exit()
    })
}

/// Shows help and usage errors as clap words them, or as JSON where that was asked for.
fn misused(err: &clap::Error, args: &[OsString]) -> ExitCode {
    let json = args.iter().any(|it| it == "--json");
    let terminal = Terminal::detect(json, false);
    if !err.use_stderr() {
        let text = err.render();
        terminal.print(&if terminal.out.color { text.ansi().to_string() } else { text.to_string() });
        return Exit::Done.into();
    }
    if json {
        error::usage(&err.render().to_string()).show(&terminal);
    } else {
        let text = err.render();
        terminal.note(&if terminal.err.color { text.ansi().to_string() } else { text.to_string() });
    }
    Exit::Usage.into()
}

/// Returns the definition of the command line, for completions.
pub fn definition() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_verb_says_what_it_does_and_gives_examples() {
        for verb in Cli::command().get_subcommands_mut().filter(|it| !it.is_hide_set()) {
            let name = verb.get_name().to_owned();
            let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(!about.is_empty() && about.len() <= 80 && !about.ends_with('.'), "{name}: {about:?}");
            let help = verb.render_long_help().to_string();
            assert!(help.contains("Examples:"), "{name} shows no examples");
        }
    }

    /// Texts name commands to run next; each must be one.
    #[test]
    fn every_command_that_the_program_names_exists() {
        fn sources(dir: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
            for entry in std::fs::read_dir(dir).expect("a directory") {
                let path = entry.expect("an entry").path();
                match path.is_dir() {
                    true => sources(&path, found),
                    false => found.push(path),
                }
            }
        }
        let cli = Cli::command();
        let mut files = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")];
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            for (at, _) in text.match_indices("`ecomctl ").chain(text.match_indices("\"ecomctl ")) {
                let words = text[at..].split_once("ecomctl ").map_or("", |it| it.1);
                let mut at = &cli;
                // A verb with verbs of its own is named with one of them, unless the name ends there.
                for word in words.split(' ') {
                    let end = word.find(|it: char| !it.is_ascii_lowercase() && it != '-').unwrap_or(word.len());
                    let (name, rest) = word.split_at(end);
                    if name.is_empty() || name.starts_with('-') || !at.has_subcommands() {
                        break;
                    }
                    let next = at.find_subcommand(name);
                    let told = format!("{} names `{} {name}`, which does not exist", file.display(), at.get_name());
                    at = next.expect(&told);
                    if !rest.is_empty() {
                        break;
                    }
                }
            }
        }
    }

    #[test]
    fn root_help() {
        insta::assert_snapshot!(Cli::command().render_long_help(), @r"
        Provisions and deploys a real-time e-commerce data pipeline: on AWS, or on this machine.

        A stack is a file in `stacks/`. `ecomctl up <STACK>` makes the world as the file says; running it
        again changes nothing, and running it again after an interruption continues. Results go to standard
        output, progress and errors to standard error.

        Usage: ecomctl [OPTIONS] <VERB>

        Verbs:
          up           Make the world as the stack's file says
          diff         Show what `up` would change, and change nothing
          teardown     Delete everything that a stack owns, after asking
          adopt        Take over what exists already and belongs to nobody, after asking
          protect      Keep resources of a stack from being deleted, whatever its file says
          unprotect    Let protected resources of a stack be deleted again; deletes nothing
          status       Show what a stack is doing: alarms, topics and lag, functions, tables, rejects
          alarms       Show which alarms go off, since when and why, and what to look at next
          run          Run a job now, follow its tasks, and end as it does
          logs         Show what a function, a job or a database printed
          build        Build the code that a stack deploys; `up` and `diff` do so by themselves
          cost         Estimate what a stack costs each month, as far as its file tells
          produce      Fill a stack's topics with the events of a made-up shop
          query        Ask the lake: run SQL over its tables, and show the rows
          dashboard    Open a page of the shop's numbers: sales, products, customers, payments
          state        Show what is recorded of a stack, and what was before; put it back
          lock         See who holds a stack, or end a hold
          local        Run the local cloud by hand: real parts on this machine
          init         Begin a project: all the files of the pipeline, to be changed there
          doctor       Check what this machine needs, and say how to install what is missing
          completions  Print what a shell needs to complete verbs, options and stacks
          validate     Check stack files, and show every mistake at once
          explain      Say where a value comes from, what it overrides, and what it is for
          graph        Draw what a stack consists of, and what needs what
          schema       Print the JSON Schema of stack files

        Options:
          -h, --help
                  Print help (see a summary with '-h')

          -V, --version
                  Print version

        Everywhere:
              --json
                  Write results as JSON, and progress and errors as one JSON object per line

              --no-color
                  Use no colours; so does the environment variable `NO_COLOR`

          -v, --verbose
                  Show plans in full: what is left alone, and every field of what is new

          -C, --project <DIR>
                  Work on the project in DIR instead of the one around the working directory

        On AWS:
              --profile <NAME>
                  Use this profile of the AWS CLI's files, with single sign-on or roles as it says

              --region <REGION>
                  Work in this region; refused where the stack's file names another

              --assume-role <ARN>
                  Take on this role before anything else is asked

        Examples:
          ecomctl up local          bring the pipeline up on this machine
          ecomctl status local      see what it is doing
          ecomctl diff staging      see what `ecomctl up staging` would change; changes nothing
          ecomctl teardown local    delete it again, after asking

        Exit codes:
          0  done
          1  internal error
          2  wrong usage
          3  `diff --exit-code` found changes
          4  the stack's files hold mistakes
          5  denied, or not reachable; also a state or file that cannot be read or written
          6  incomplete: run the same command again to continue
          7  another run is at work on the stack
          8  a build failed
          9  refused: protection, data loss without consent, or a stale plan
          10 what was run failed: a job, a query

        Files are written below `.ecomctl/` of the project only, or below $ECOMCTL_HOME.
        ");
    }
}
