# What a model takes: named columns, each with a prototype of no elements, or one matrix.
#
# A prototype is numeric(0), integer(0), logical(0), character(0), a factor with its levels, a Date or POSIXct of no
# elements, or a matrix of no rows.

inputs_of <- function(model) {
  found <- first_found(model, list(from_prototype, from_variables, from_terms, from_forest))
  if (length(found)) return(found)
  factors <- untold_factors(model)
  if (length(factors))
    stop("the model does not tell the levels of ", paste(factors, collapse = ", "), ": write a predict.R with `inputs`", call. = FALSE)
  found <- first_found(model, list(from_names))
  if (length(found)) found else list(x = matrix(numeric(0), 0L, 0L))
}

first_found <- function(model, readers) {
  for (read in readers) {
    found <- tryCatch(read(model), error = function(condition) NULL)
    if (length(found)) return(found)
  }
}

prototype <- function(value) {
  if (is.factor(value)) return(value[0L, drop = FALSE])
  if (inherits(value, c("Date", "POSIXct"))) return(value[0L])
  if (is.character(value)) return(character(0))
  if (is.logical(value)) return(logical(0))
  if (is.numeric(value)) return(numeric(0))
  NULL
}

prototypes <- function(frame, names) {
  found <- lapply(frame[names], prototype)
  if (length(found) && !any(vapply(found, is.null, NA))) found
}

matrix_of_columns <- function(count) list(x = matrix(numeric(0), 0L, count))

# caret keeps a frame of no rows; older models the frame that they were trained with.
from_prototype <- function(model) {
  if (!inherits(model, "train")) return(NULL)
  frame <- if (is.data.frame(model$ptype)) model$ptype else model$trainingData
  prototypes(frame, setdiff(names(frame), c(".outcome", ".weights")))
}

# mgcv keeps an example of each variable.
from_variables <- function(model) {
  if (inherits(model, "gam")) prototypes(model$var.summary, names(model$var.summary))
}

from_terms <- function(model) {
  terms <- if (is.null(model$terms) || !inherits(model$terms, "terms")) stats::terms(model) else model$terms
  terms <- stats::delete.response(terms)
  classes <- attr(terms, "dataClasses")
  levels <- Filter(is.character, Find(length, list(model$xlevels, attr(model, "xlevels"), model$forest$xlevels)))
  known <- if (is.data.frame(model$data)) model$data else if (is.data.frame(model$model)) model$model
  columns <- lapply(stats::setNames(nm = all.vars(terms)), function(name) column_of(name, classes, levels, known))
  if (!any(vapply(columns, is.null, NA))) columns
}

# Some models keep a formula with factors and not their levels.
untold_factors <- function(model) {
  terms <- tryCatch(stats::delete.response(stats::terms(model)), error = function(condition) NULL)
  classes <- attr(terms, "dataClasses")
  intersect(names(classes)[classes %in% c("factor", "ordered")], all.vars(terms))
}

column_of <- function(name, classes, levels, known) {
  class <- unname(classes[name])
  if (!is.null(levels[[name]])) return(factor(character(0), levels[[name]], ordered = identical(class, "ordered")))
  if (is.na(class) || class %in% c("factor", "ordered", "other")) {
    if (!is.null(known[[name]])) return(prototype(known[[name]]))
    if (!is.na(class) && class != "other") return(NULL)
    return(made_a_factor(levels[[match(TRUE, names(levels) %in% paste0(c("factor(", "as.factor("), name, ")"))]]))
  }
  if (startsWith(class, "nmatrix.")) return(matrix(numeric(0), 0L, as.integer(sub("nmatrix.", "", class, fixed = TRUE))))
  switch(class, numeric = numeric(0), logical = logical(0), character = character(0))
}

# What a formula turns into a factor, by the levels that came of it.
made_a_factor <- function(levels) {
  if (!length(levels) || !anyNA(suppressWarnings(as.numeric(levels)))) return(numeric(0))
  if (all(levels %in% c("FALSE", "TRUE"))) logical(0) else factor(character(0), levels)
}

# Forests that were given columns and no formula.
from_forest <- function(model) {
  if (inherits(model, "randomForest") && !is.null(model$forest$xlevels))
    return(lapply(model$forest$xlevels, function(levels) if (is.character(levels)) factor(character(0), levels) else numeric(0)))
  if (inherits(model, "ranger")) {
    names <- model$forest$independent.variable.names
    known <- model$forest$covariate.levels
    return(lapply(stats::setNames(nm = names), function(name) if (is.null(known[[name]])) numeric(0) else factor(character(0), known[[name]])))
  }
  if (inherits(model, "gbm"))
    return(stats::setNames(
      lapply(seq_along(model$var.names), function(index) if (model$var.type[index] > 0) factor(character(0), model$var.levels[[index]]) else numeric(0)),
      model$var.names
    ))
}

# Models of a matrix: by its columns' names where it had some.
from_names <- function(model) {
  if (inherits(model, c("glmnet", "cv.glmnet"))) {
    fit <- if (inherits(model, "cv.glmnet")) model$glmnet.fit else model
    return(matrix_of_columns(fit$dim[1L]))
  }
  if (inherits(model, "nnet")) return(matrix_of_columns(model$n[1L]))
  if (inherits(model, c("prcomp", "princomp"))) {
    rotation <- if (is.null(model$rotation)) model$loadings else model$rotation
    names <- rownames(rotation)
    return(if (is.null(names)) matrix_of_columns(nrow(rotation)) else lapply(stats::setNames(nm = names), function(name) numeric(0)))
  }
  if (inherits(model, "svm")) return(matrix_of_columns(ncol(model$SV)))
  if (inherits(model, c("lda", "qda")) && !is.null(colnames(model$means)))
    return(lapply(stats::setNames(nm = colnames(model$means)), function(name) numeric(0)))
  if (inherits(model, "naiveBayes"))
    return(lapply(model$tables, function(table) if (is.null(colnames(table))) numeric(0) else factor(character(0), colnames(table))))
  names <- model$feature_names
  if (is.character(names)) matrix_of_columns(length(names))
}
