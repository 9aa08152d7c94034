"""Every command of `./run tasks`: where it is, and what the help of its group says of it."""

from tasks.cli.lazy_commands import LazyCommand, LazyCommands, Table

TABLE: Table = {
    "schema": LazyCommand("tasks.cli.schema", "Print the signal contract as JSON Schema."),
    "backtest": LazyCommand(
        "tasks.cli.backtest", "Run the strategies over recordings, in this process, without servers."
    ),
    "sweep": LazyCommand(
        "tasks.cli.sweep.commands",
        "Try many parameter sets of strategies over recordings, on workers or in processes of this machine.",
    ),
    "export": LazyCommands(
        "Write events, signals and bars of recordings as Parquet, Arrow or CSV files; needs pyarrow.",
        {
            "events": LazyCommand(
                "tasks.cli.export",
                "Write the events of recordings, as strategies would get them: a row each, in the order of the frames.",
            ),
            "signals": LazyCommand("tasks.cli.export", "Write the signals of a backtest over recordings, a row each."),
            "bars": LazyCommand(
                "tasks.cli.export", "Write the bars of recorded trades, as strategies would get them, a row each."
            ),
        },
    ),
    "deadletters": LazyCommands(
        "List, show, retry and remove dead letters.",
        {
            "list": LazyCommand(
                "tasks.cli.dead_letters.commands",
                "List refused frames, events on which a strategy raised or workers died, and unpublishable signals, oldest first.",
            ),
            "show": LazyCommand(
                "tasks.cli.dead_letters.commands",
                "Show everything about dead letters: the frame or the event, and why, with the traceback.",
            ),
            "drop": LazyCommand(
                "tasks.cli.dead_letters.commands",
                "Remove dead letters, by ids or by filters. Asks first when it is more than one. Records and states stay.",
            ),
            "retry": LazyCommand(
                "tasks.cli.dead_letters.retry",
                "Send frames and events through the whole path again: NATS, ingest, workers. Exit status 1 unless all are applied.",
            ),
        },
    ),
    "state": LazyCommands(
        "Records and states in the ledger: look at them, reset a strategy, start it warm.",
        {
            "show": LazyCommand(
                "tasks.cli.state.commands",
                "Show the record of each symbol and the states beside it; with --json also what the states hold.",
            ),
            "reset": LazyCommand(
                "tasks.cli.state.commands",
                "Remove the states of a strategy, or mend the records of a symbol, while everything runs.",
            ),
            "history": LazyCommand(
                "tasks.cli.state.commands",
                "List resets, seedings and prunings, oldest first: when, what, how many states, who, why, and from which files.",
            ),
            "seed": LazyCommand(
                "tasks.cli.state.seed",
                "Start strategies warm: compute their states from recordings, and put them into the ledger.",
            ),
            "prune": LazyCommand(
                "tasks.cli.state.prune",
                "Remove records, states and paper accounts of symbols that had no event for a long time, while everything runs.",
            ),
        },
    ),
    "config": LazyCommands(
        "The settings in force.",
        {
            "show": LazyCommand(
                "tasks.cli.config",
                "Show every setting: its environment name, its value (passwords masked), and what it means.",
            ),
        },
    ),
    "strategies": LazyCommands(
        "List, describe, check and change strategies.",
        {
            "list": LazyCommand(
                "tasks.cli.strategies.commands",
                "List the built-in strategies and those that the strategies file names, with the pools they run in.",
            ),
            "describe": LazyCommand(
                "tasks.cli.strategies.commands",
                "Show what a strategy does, its events, its parameters (default, bounds, meaning), and its bars with the defaults.",
            ),
            "new": LazyCommand(
                "tasks.cli.strategies.new",
                "Write a small project with a strategy of your own: it can be checked, tested, backtested and run at once.",
            ),
            "check": LazyCommand(
                "tasks.cli.strategies.commands",
                "Run the contract suite on a strategy; the exit status is 1 when a check fails.",
            ),
            "schema": LazyCommand(
                "tasks.cli.strategies.commands",
                "Print the JSON Schema of the strategies file, for an editor: with the parameters of every strategy that `list` shows.",
            ),
            "report": LazyCommand(
                "tasks.cli.strategies.commands",
                "Print docs/strategies.md: definitions, and what each strategy did on each recording.",
            ),
            "get": LazyCommand(
                "tasks.cli.strategies.live_configuration",
                "Show the configuration in force, as far as it differs from the defaults, and what of it was set at run time.",
            ),
            "set": LazyCommand(
                "tasks.cli.strategies.live_configuration",
                "Change parameters or gates of a strategy, while everything runs; it outlives restarts and edits of the file.",
            ),
            "kill": LazyCommand(
                "tasks.cli.strategies.live_configuration",
                "Hold back every signal of a strategy, or of `all`; strategies keep running, so `revive` needs no warm-up.",
            ),
            "revive": LazyCommand("tasks.cli.strategies.live_configuration", "Let signals through again after `kill`."),
            "pause": LazyCommand(
                "tasks.cli.strategies.live_configuration",
                "Hold back the signals of a strategy, or of all in a pool; states go on.",
            ),
            "resume": LazyCommand(
                "tasks.cli.strategies.live_configuration",
                "Let signals of a pool or a strategy through again, and run one that was switched off.",
            ),
            "reset": LazyCommand(
                "tasks.cli.strategies.live_configuration",
                "Drop what was set at run time: what the strategies file says is in force again.",
            ),
            "history": LazyCommand(
                "tasks.cli.strategies.history",
                "List every change: version, when (UTC), who, why, and what: old → new; the last is in force.",
            ),
            "rollback": LazyCommand(
                "tasks.cli.strategies.history",
                "Undo the newest change at run time that is in force and not undone yet; again: the one before it.",
            ),
        },
    ),
    "shadow": LazyCommands(
        "Second versions of strategies: compare them, and let one emit.",
        {
            "report": LazyCommand(
                "tasks.cli.shadow.commands",
                "Show what differs between strategies and their shadows since both run: signals and profit, by symbol.",
            ),
            "promote": LazyCommand(
                "tasks.cli.shadow.commands",
                "Let a shadow emit in place of its original, which then runs as the shadow; from the next batch of each lane on.",
            ),
        },
    ),
    "signals": LazyCommand("tasks.cli.signals", "Show the signals that the live pipeline has committed, oldest first."),
    "deliver": LazyCommands(
        "Take signals to receivers, each from a durable position of its own, and see where each delivery stands.",
        {
            "webhook": LazyCommand(
                "tasks.cli.deliver.commands",
                "Post signals to DELIVER_WEBHOOK_URL, signed with DELIVER_WEBHOOK_SECRET as standardwebhooks.com says.",
            ),
            "telegram": LazyCommand(
                "tasks.cli.deliver.commands",
                "Send a message about each signal to the chat DELIVER_TELEGRAM_CHAT, as the bot of DELIVER_TELEGRAM_TOKEN.",
            ),
            "discord": LazyCommand(
                "tasks.cli.deliver.commands",
                "Send a message about each signal to the channel of the webhook DELIVER_DISCORD_URL.",
            ),
            "nats": LazyCommand(
                "tasks.cli.deliver.commands",
                "Publish signals on DELIVER_NATS_SUBJECT, beside what ingest publishes: with filters, or on another server.",
            ),
            "stdout": LazyCommand(
                "tasks.cli.deliver.commands",
                "Write signals to standard output, a line of JSON each, for another program.",
            ),
            "list": LazyCommand(
                "tasks.cli.deliver.standing",
                "List deliveries: whether a process runs, how many signals wait, and how many were sent, passed over, refused or trimmed.",
            ),
            "forget": LazyCommand(
                "tasks.cli.deliver.standing",
                "Remove a delivery that is not wanted any more: its position and its counts.",
            ),
        },
    ),
    "positions": LazyCommand(
        "tasks.cli.positions",
        "Show the positions that the paper accounts of the live pipeline have closed, oldest first, or those that are open.",
    ),
    "why": LazyCommand(
        "tasks.cli.why",
        "Show what led to a signal, and whether the same comes out again, byte for byte. Exit status 1 unless it does.",
    ),
    "doctor": LazyCommand(
        "tasks.cli.doctor",
        "Look at settings, servers, queues, workers, clocks and ports; say what is wrong and what to do.",
    ),
}
