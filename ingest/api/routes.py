"""All operations of the API: what is served, and what its OpenAPI document says, is this table."""

from ingest.api import configuration as config
from ingest.api import dead_letters, in_force, signals, states, strategies, strategy_changes
from ingest.api.models import ChangeBody, ChangeItem, ConfigBody, ConfigItem, DeleteQuery
from ingest.api.route import Route
from tasks.paper import ClosedPosition
from tasks.paper.open_row import OpenRow
from tasks.why.answer import Answer

_CHANGES = (404, 409, 412, 422)

_READ = (
    Route("GET", "/strategies", "Strategies", strategies.list_strategies, strategies.StrategyItem, many=True, has_etag=True),
    Route("GET", "/strategies/counts", "What was counted of each strategy", strategies.list_counts, strategies.CountsItem, many=True),
    Route("GET", "/strategies/{strategy}/schema", "Parameters with their bounds", strategies.get_schema, strategies.ParameterItem, many=True, fails=(404,)),
    Route("GET", "/strategies/{strategy}/defaults", "Defaults of the parameters", strategies.get_defaults, None, fails=(404,)),
    Route("GET", "/strategies/{strategy}/config", "What is in force", in_force.get_config, ConfigItem, query=in_force.PoolQuery, fails=(404,), has_etag=True),
    Route("GET", "/strategies/{strategy}/config/{symbol}", "What is in force for a symbol", in_force.get_symbol_config, ConfigItem, query=in_force.PoolQuery, fails=(404,), has_etag=True),
    Route("GET", "/strategies/{strategy}/audit", "Changes of a strategy", strategy_changes.list_audit, strategy_changes.AuditItem, many=True, query=strategy_changes.AuditQuery, fails=(404,)),
    Route("GET", "/configuration", "The configuration in force", config.get_configuration, config.ConfigurationItem, has_etag=True),
    Route("GET", "/configuration/schema", "Values of gates and paper accounts with their bounds", strategies.get_shared_schema, strategies.ParameterItem, many=True, query=strategies.VenuesQuery),
    Route("GET", "/configuration/versions/{version}", "A configuration by its version", config.get_version, config.ConfigurationItem, fails=(404,)),
    Route("GET", "/configuration/history", "Changes of the configuration", config.list_history, config.HistoryItem, many=True, query=config.HistoryQuery),
    Route("GET", "/shadows", "Shadows, and which of them emit", config.list_shadows, config.ShadowItem, many=True, has_etag=True),
    Route("GET", "/states/resets", "What was done to states", states.list_resets, states.DoneItem, many=True, query=states.ResetsQuery),
    Route("GET", "/dead-letters", "Dead letters", dead_letters.list_dead_letters, dead_letters.LetterItem, many=True, query=dead_letters.LettersQuery),
    Route("GET", "/dead-letters/{id}", "A dead letter", dead_letters.get_dead_letter, dead_letters.WholeLetterItem, fails=(404,)),
    Route("GET", "/signals", "Signals", signals.list_signals, signals.SignalItem, many=True, query=signals.SignalsQuery),
    Route("GET", "/signals/{id}", "A signal by its id", signals.get_signal, signals.WholeSignalItem, query=signals.SignalQuery, fails=(404,)),
    Route("GET", "/signals/{id}/why", "What led to a signal, run again", signals.get_why, Answer, query=signals.SignalQuery, fails=(404,)),
    Route("GET", "/positions", "Closed positions of the paper accounts", signals.list_positions, ClosedPosition, many=True, query=signals.PositionsQuery),
    Route("GET", "/positions/open", "Open positions of the paper accounts", signals.list_open_positions, OpenRow, many=True, query=signals.OpenQuery),
)  # fmt: skip

_WRITE = (
    Route("POST", "/strategies/{strategy}/config", "Change parameters", strategy_changes.set_config, ConfigItem, body=ConfigBody, fails=_CHANGES, has_etag=True),
    Route("POST", "/strategies/{strategy}/config/{symbol}", "Change parameters for a symbol", strategy_changes.set_symbol_config, ConfigItem, body=ConfigBody, fails=_CHANGES, has_etag=True),
    Route("DELETE", "/strategies/{strategy}/config", "Drop what was set at run time", strategy_changes.delete_config, strategy_changes.DeletedItem, query=DeleteQuery, fails=_CHANGES, has_etag=True),
    Route("DELETE", "/strategies/{strategy}/config/{symbol}", "Drop what was set at run time for a symbol", strategy_changes.delete_symbol_config, strategy_changes.DeletedItem, query=DeleteQuery, fails=_CHANGES, has_etag=True),
    Route("POST", "/strategies/{strategy}/rollback", "Undo changes of a strategy", strategy_changes.rollback_strategy, ConfigItem, query=strategy_changes.SymbolQuery, body=strategy_changes.StrategyRollback, fails=_CHANGES, has_etag=True),
    Route("POST", "/strategies/cache/refresh", "For clients that ask for it: nothing is cached", config.refresh_cache, None, has_etag=True),
    Route("POST", "/strategies/{strategy}/kill", "Hold back every signal", config.kill_strategy, ChangeItem, body=ChangeBody, fails=_CHANGES, has_etag=True),
    Route("POST", "/strategies/{strategy}/revive", "Let signals through after a kill", config.revive_strategy, ChangeItem, body=ChangeBody, fails=_CHANGES, has_etag=True),
    Route("POST", "/strategies/{strategy}/pause", "Hold signals back for a while", config.pause_strategy, ChangeItem, body=ChangeBody, fails=_CHANGES, has_etag=True),
    Route("POST", "/strategies/{strategy}/resume", "Let signals through again", config.resume_strategy, ChangeItem, body=ChangeBody, fails=_CHANGES, has_etag=True),
    Route("POST", "/strategies/{strategy}/promote", "Let a shadow emit", config.promote_shadow, ChangeItem, body=ChangeBody, fails=_CHANGES, has_etag=True),
    Route("POST", "/strategies/{strategy}/states/reset", "Remove states", states.reset_states, states.ResetItem, body=states.StatesReset, fails=(404, 422)),
    Route("POST", "/pools/{pool}/pause", "Hold back the signals of a pool", config.pause_pool, ChangeItem, body=ChangeBody, fails=_CHANGES, has_etag=True),
    Route("POST", "/pools/{pool}/resume", "Let the signals of a pool through", config.resume_pool, ChangeItem, body=ChangeBody, fails=_CHANGES, has_etag=True),
    Route("POST", "/configuration", "Set values at run time", config.set_configuration, ChangeItem, body=config.SetBody, fails=_CHANGES, has_etag=True),
    Route("POST", "/configuration/rollback", "Undo changes", config.rollback_configuration, ChangeItem, body=config.ConfigurationRollback, fails=_CHANGES, has_etag=True),
    Route("POST", "/configuration/reset", "Drop what was set at run time", config.reset_configuration, ChangeItem, body=config.ConfigurationReset, fails=_CHANGES, has_etag=True),
    Route("POST", "/dead-letters/retry", "Send dead letters through the whole path again", dead_letters.retry_dead_letters, dead_letters.RetryItem, many=True, body=dead_letters.RetryBody, fails=(404, 409, 422)),
    Route("POST", "/dead-letters/drop", "Remove dead letters", dead_letters.drop_dead_letters, dead_letters.DroppedItem, body=dead_letters.ChosenBody, fails=(404, 422)),
    Route("DELETE", "/dead-letters/{id}", "Remove a dead letter", dead_letters.drop_dead_letter, dead_letters.DroppedItem, query=dead_letters.DropQuery, fails=(404,)),
)  # fmt: skip

#: Where two take a path, the first one has it.
ROUTES = tuple(sorted((*_READ, *_WRITE), key=lambda route: (len(route.fields), route.path)))
