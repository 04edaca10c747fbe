# Functions as models: a `predict` of a file of R code, or a function that was saved.

# What a file of R code serves: its `predict`, with what `load_model` gave as the first argument where there is one.
open_code <- function(path) {
  setwd(dirname(path))
  sys.source(path, envir = globalenv(), keep.source = FALSE)
  place <- globalenv()
  own <- function(name, mode) if (exists(name, place, mode = mode, inherits = FALSE)) get(name, place, mode = mode, inherits = FALSE)
  ask <- own("predict", "function")
  if (is.null(ask)) stop(basename(path), " defines no function predict", call. = FALSE)
  open <- own("load_model", "function")
  state <- if (is.null(open)) NULL else list(if (length(formals(open))) open(dirname(path)) else open())
  as_model(ask, state, own("inputs", "list"), own("outputs", "list"))
}

as_model <- function(ask, state = NULL, inputs = attr(ask, "inputs"), outputs = attr(ask, "outputs")) {
  parameters <- as.list(formals(args(ask)))
  parameters <- parameters[setdiff(names(parameters), "...")]
  if (length(state)) parameters <- parameters[-1L]
  is_required <- vapply(parameters, function(value) is.name(value) && !nzchar(as.character(value)), NA)
  options <- Filter(function(value) is.atomic(value) && length(value) == 1L, parameters[!is_required])
  required <- names(parameters)[is_required]
  takes_frame <- is.data.frame(inputs)
  if (is.null(inputs)) inputs <- stats::setNames(rep(list(numeric(0)), length(required)), required)
  if (!takes_frame && !setequal(names(inputs), required))
    stop("predict takes ", paste(required, collapse = ", "), " and `inputs` names ", paste(names(inputs), collapse = ", "), call. = FALSE)
  if (takes_frame && length(required) != 1L)
    stop("`inputs` is a data frame, so predict must take it as its only argument", call. = FALSE)
  list(
    inputs = as.list(inputs),
    outputs = outputs,
    options = options,
    takes_frame = takes_frame,
    ask = function(columns, chosen) {
      values <- if (takes_frame) stats::setNames(list(columns), required) else columns
      named(do.call(ask, c(state, values, chosen)))
    }
  )
}
