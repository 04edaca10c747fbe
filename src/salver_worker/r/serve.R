# The R half of the runtime `r`: opens a model, tells what it takes, and answers the Python half until its pipe ends.
# Rscript serve.R HOME PATH THREADS PACKAGES QUESTIONS ANSWERS

arguments <- commandArgs(trailingOnly = TRUE)
options(warn = 1)
parts <- new.env(parent = globalenv())
for (part in c("link", "opening", "columns", "asking", "functions"))
  sys.source(file.path(arguments[1L], paste0(part, ".R")), envir = parts)

evalq({
  DESCRIBE <- 0L
  PREDICT <- 1L
  LEAVE_OUT <- 2L

  open_model <- function(path, threads) {
    if (grepl("\\.r$", tolower(path))) return(c(open_code(path), what = "function"))
    object <- open_object(path)
    if (is.function(object)) return(c(as_model(object), what = "function"))
    attach_packages(object)
    ask <- asking(object, threads)
    inputs <- inputs_of(object)
    list(
      inputs = inputs,
      outputs = NULL,
      options = list(),
      takes_frame = !(length(inputs) == 1L && is.matrix(inputs[[1L]])),
      ask = function(columns, chosen) ask(if (is.data.frame(columns)) columns else columns[[1L]], unread),
      what = paste(class(object), collapse = ", ")
    )
  }

  type_of <- function(value) {
    if (is.factor(value)) "factor" else if (inherits(value, "Date")) "date" else if (inherits(value, "POSIXct")) "time" else typeof(value)
  }

  # The model as Python reads it: parallel vectors, one element for each column.
  describe <- function() {
    levels <- lapply(model$inputs, base::levels)
    c(
      list(
        what = model$what,
        version = paste(R.version$major, R.version$minor, sep = "."),
        packages = attached_packages(),
        options = c(character(0), names(model$options)),
        is_function = identical(model$what, "function")
      ),
      table_of("input", model$inputs),
      if (is.null(model$outputs)) list() else table_of("output", model$outputs),
      list(levels = c(character(0), unlist(levels, use.names = FALSE)), level_counts = unname(lengths(levels)))
    )
  }

  attached_packages <- function() {
    names <- names(utils::sessionInfo()$otherPkgs)
    if (length(names)) paste(names, vapply(names, function(name) as.character(utils::packageVersion(name)), "")) else character(0)
  }

  table_of <- function(kind, columns) {
    stats::setNames(
      list(
        c(character(0), names(columns)),
        vapply(columns, type_of, "", USE.NAMES = FALSE),
        vapply(columns, function(value) if (is.matrix(value)) ncol(value) else -1L, 0L, USE.NAMES = FALSE)
      ),
      paste(kind, c("names", "types", "widths"), sep = "_")
    )
  }

  read_column <- function(prototype, rows) {
    count <- rows * read_integers(link, 1L)
    value <- switch(type_of(prototype),
      double = read_doubles(link, count),
      integer = read_integers(link, count),
      logical = as.logical(read_integers(link, count)),
      factor = structure(read_integers(link, count), levels = base::levels(prototype), class = class(prototype)),
      read_texts(link, count)
    )
    if (is.matrix(prototype)) dim(value) <- c(rows, if (rows) count %/% rows else ncol(prototype))
    value
  }

  read_columns <- function() {
    rows <- read_integers(link, 1L)
    columns <- lapply(model$inputs, read_column, rows = rows)
    if (model$takes_frame) attributes(columns) <- list(names = names(columns), row.names = .set_row_names(rows), class = "data.frame")
    columns
  }

  read_option <- function() {
    switch(read_integers(link, 1L) + 1L, read_doubles(link, 1L), read_integers(link, 1L), as.logical(read_integers(link, 1L)), read_texts(link, 1L))
  }

  read_options <- function() {
    chosen <- list()
    for (index in seq_len(read_integers(link, 1L))) {
      name <- read_texts(link, 1L)
      chosen[[name]] <- read_option()
    }
    chosen
  }

  # Text that means a day or a moment.
  as_meant <- function(columns) {
    for (name in names(model$inputs)) {
      meant <- switch(type_of(model$inputs[[name]]), date = as.Date, time = function(text) as.POSIXct(text, tz = "UTC"))
      if (is.null(meant)) next
      columns[[name]] <- tryCatch(meant(columns[[name]]), error = function(condition) {
        stop(errorCondition(paste0("the input ", name, " holds text that is no date"), class = "InputError", call = NULL))
      })
    }
    columns
  }

  predict_batch <- function(columns, chosen) {
    found <- model$ask(as_meant(columns), chosen)
    stats::setNames(lapply(names(found), function(name) plain(name, found[[name]])), names(found))
  }

  # A late interrupt of the question before means nothing to this one.
  forget_interrupts <- function() tryCatch(allowInterrupts(Sys.sleep(0)), interrupt = function(condition) NULL)

  # Evaluates, and tells how it went, whatever it is.
  answered <- function(work) {
    tryCatch(
      list(OK, work),
      interrupt = function(condition) list(CANCELLED, list()),
      InputError = function(condition) list(REFUSED, list(message = conditionMessage(condition))),
      lacks_package = function(condition) list(FAILED, list(message = "", package = conditionMessage(condition), class = condition$model)),
      error = function(condition) {
        call <- conditionCall(condition)
        place <- if (is.null(call)) "" else paste(utils::head(deparse(call), 1L), "")
        list(FAILED, list(message = conditionMessage(condition), call = trimws(place)))
      }
    )
  }

  reply <- function(answer) write_answer(link, answer[[1L]], answer[[2L]])

  serve <- function() {
    repeat {
      operation <- read_integers(link, 1L)
      if (!length(operation)) return(invisible())
      forget_interrupts()
      if (operation == LEAVE_OUT) {
        unread <<- read_texts(link, read_integers(link, 1L))
        reply(list(OK, list()))
      } else {
        columns <- read_columns()
        chosen <- read_options()
        reply(answered(allowInterrupts(predict_batch(columns, chosen))))
      }
    }
  }

  # The versions of packages, the empty text for what is not there.
  versions_of <- function(names) {
    vapply(names, function(name) if (nzchar(system.file(package = name))) utils::packageDescription(name, fields = "Version") else "", "", USE.NAMES = FALSE)
  }

  link <- open_link(arguments[5L], arguments[6L])
  unread <- character(0)
  reply(list(OK, list(versions = c(character(0), versions_of(strsplit(arguments[4L], ",", fixed = TRUE)[[1L]])))))
  opened <- answered(list(model = open_model(arguments[2L], as.integer(arguments[3L]))))
  if (opened[[1L]] == OK) {
    model <- opened[[2L]]$model
    reply(answered(describe()))
    suspendInterrupts(serve()) # a question that is half read must not be left
  } else {
    reply(opened)
  }
}, parts)
