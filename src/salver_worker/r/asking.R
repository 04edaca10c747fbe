# How a model is asked: `prediction` of what answers numbers, `label` and `probabilities` of what answers classes.

CLASS_TYPES <- c("prob", "probs", "raw", "probability", "posterior", "response")

# A function of a frame (or a matrix) and of the outputs that nobody reads, which answers named values.
asking <- function(model, threads) {
  for (class in class(model)) if (!is.null(WAYS[[class]])) return(WAYS[[class]](model, threads))
  of_anything(model)
}

numbers <- function(ask) {
  function(data, unread) list(prediction = ask(data))
}

classes <- function(label, probabilities, levels) {
  function(data, unread) {
    found <- list()
    if (!("label" %in% unread)) found$label <- as.character(label(data))
    if (!is.null(probabilities) && !("probabilities" %in% unread))
      found$probabilities <- as_probabilities(probabilities(data), rows_of(data), levels)
    found
  }
}

rows_of <- function(data) if (is.data.frame(data) || is.matrix(data)) nrow(data) else length(data)

# One row for each row of the data and one column for each class, in the order of the levels, however it came.
as_probabilities <- function(value, rows, levels) {
  if (is.data.frame(value)) value <- as.matrix(value)
  if (length(dim(value)) == 3L) value <- array(value, dim(value)[1:2], dimnames(value)[1:2])
  if (is.null(dim(value)) || ncol(value) == 1L) {
    value <- as.vector(value)
    if (length(levels) == 2L && length(value) == rows) return(cbind(1 - value, value))
    value <- matrix(value, rows, byrow = TRUE)
  }
  if (!is.null(colnames(value)) && setequal(colnames(value), levels)) value <- value[, levels, drop = FALSE]
  unname(value)
}

# What predict says by itself; for classes also the first `type` that gives a number for each of them.
of_anything <- function(model) {
  way <- NULL
  function(data, unread) {
    answer <- stats::predict(model, data)
    if (!is.factor(answer) && !is.character(answer)) return(named(answer))
    found <- list(label = as.character(answer))
    levels <- if (is.factor(answer)) base::levels(answer) else known_levels(model)
    if (is.null(way)) way <<- first_type(model, data, levels)
    if (nzchar(way) && !("probabilities" %in% unread))
      found$probabilities <- as_probabilities(stats::predict(model, data, type = way), rows_of(data), levels)
    found
  }
}

first_type <- function(model, data, levels) {
  for (type in CLASS_TYPES) {
    found <- tryCatch(suppressWarnings(stats::predict(model, data, type = type)), error = function(condition) NULL)
    if (is.data.frame(found)) found <- as.matrix(found)
    if (is.numeric(found) && length(dim(found)) == 2L && ncol(found) == length(levels)) return(type)
  }
  ""
}

known_levels <- function(model) {
  for (levels in list(model$levels, model$lev, model$classes, model$obsLevels)) if (is.character(levels)) return(levels)
}

# An answer in the shape of outputs: a list or a frame is an output for each of its members.
named <- function(answer) {
  if (inherits(answer, "tbl_df") || (is.data.frame(answer) && !is.null(names(answer)))) return(as.list(answer))
  if (is.list(answer) && !is.null(names(answer)) && all(nzchar(names(answer)))) return(answer)
  list(prediction = answer)
}

is_classifier <- function(model) !is.null(known_levels(model))

WAYS <- list(
  glm = function(model, threads) numbers(function(data) as.vector(stats::predict(model, data, type = "response"))),
  lm = function(model, threads) numbers(function(data) unname(stats::predict(model, data))),
  gam = function(model, threads) numbers(function(data) drop_names(stats::predict(model, data, type = "response"))),
  randomForest = function(model, threads) {
    if (is.null(model$classes)) return(numbers(function(data) unname(stats::predict(model, data))))
    classes(
      function(data) stats::predict(model, data, type = "response"),
      function(data) stats::predict(model, data, type = "prob"),
      model$classes
    )
  },
  rpart = function(model, threads) {
    levels <- attr(model, "ylevels")
    if (is.null(levels)) return(numbers(function(data) unname(stats::predict(model, data))))
    classes(
      function(data) stats::predict(model, data, type = "class"),
      function(data) stats::predict(model, data, type = "prob"),
      levels
    )
  },
  train = function(model, threads) {
    levels <- as.character(model$levels)
    if (identical(model$modelType, "Regression")) return(numbers(function(data) as.vector(stats::predict(model, data))))
    has_probabilities <- isTRUE(model$control$classProbs) || is.function(model$modelInfo$prob)
    classes(
      function(data) stats::predict(model, data),
      if (has_probabilities) function(data) stats::predict(model, data, type = "prob"),
      levels
    )
  },
  multinom = function(model, threads) {
    classes(
      function(data) stats::predict(model, data, type = "class"),
      function(data) stats::predict(model, data, type = "probs"),
      model$lev
    )
  },
  nnet = function(model, threads) {
    if (is.null(model$lev)) return(numbers(function(data) drop_names(stats::predict(model, data, type = "raw"))))
    classes(
      function(data) stats::predict(model, data, type = "class"),
      function(data) stats::predict(model, data, type = "raw"),
      model$lev
    )
  },
  svm = function(model, threads) {
    if (model$type > 1L) return(numbers(function(data) unname(stats::predict(model, data))))
    probabilities <- function(data) attr(stats::predict(model, data, probability = TRUE), "probabilities")
    classes(function(data) stats::predict(model, data), if (isTRUE(model$compprob)) probabilities, model$levels)
  },
  naiveBayes = function(model, threads) {
    classes(
      function(data) stats::predict(model, data),
      function(data) stats::predict(model, data, type = "raw"),
      model$levels
    )
  },
  lda = function(model, threads) by_posterior(model),
  qda = function(model, threads) by_posterior(model),
  ranger = function(model, threads) {
    ask <- function(data) stats::predict(model, data = data, num.threads = threads)$predictions
    if (identical(model$treetype, "Probability estimation")) {
      levels <- colnames(model$predictions)
      return(function(data, unread) {
        found <- as_probabilities(ask(data), rows_of(data), levels)
        list(label = levels[max.col(found, ties.method = "first")], probabilities = found)
      })
    }
    if (identical(model$treetype, "Classification")) return(classes(ask, NULL, NULL))
    numbers(function(data) drop_names(ask(data)))
  },
  gbm = function(model, threads) {
    ask <- function(data) stats::predict(model, data, n.trees = model$n.trees, type = "response")
    if (model$num.classes < 2L) return(numbers(function(data) as.vector(ask(data))))
    function(data, unread) {
      found <- as_probabilities(ask(data), rows_of(data), model$classes)
      list(label = model$classes[max.col(found, ties.method = "first")], probabilities = found)
    }
  },
  glmnet = function(model, threads) of_glmnet(model, model, NULL),
  cv.glmnet = function(model, threads) of_glmnet(model, model$glmnet.fit, "lambda.1se")
)

by_posterior <- function(model) {
  levels <- names(model$prior)
  function(data, unread) {
    found <- stats::predict(model, data)
    list(label = as.character(found$class), probabilities = as_probabilities(found$posterior, rows_of(data), levels))
  }
}

# A path of many penalties answers a column for each, one with a chosen penalty a number.
of_glmnet <- function(model, fit, penalty) {
  ask <- function(data, type) stats::predict(model, newx = as.matrix(data), s = penalty, type = type)
  levels <- fit$classnames
  is_chosen <- !is.null(penalty) || length(fit$lambda) == 1L
  if (is.null(levels) || !is_chosen) return(numbers(function(data) drop_names(ask(data, "response"))))
  classes(function(data) as.vector(ask(data, "class")), function(data) ask(data, "response"), levels)
}

drop_names <- function(value) {
  if (length(dim(value)) == 2L && ncol(value) == 1L || length(dim(value)) == 1L) return(as.vector(value))
  unname(value)
}
