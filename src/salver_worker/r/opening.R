# From a file to the object that predicts, with the packages that it needs.

# Which package a model's methods are in, by class; of others the class itself, or what knows its `predict`.
PACKAGES <- c(
  randomForest = "randomForest", rpart = "rpart", nnet = "nnet", multinom = "nnet", train = "caret", glmnet = "glmnet",
  cv.glmnet = "glmnet", svm = "e1071", naiveBayes = "e1071", gbm = "gbm", ranger = "ranger", lda = "MASS", qda = "MASS",
  polr = "MASS", gam = "mgcv", bam = "mgcv", xgb.Booster = "xgboost", C5.0 = "C50", earth = "earth", coxph = "survival",
  survreg = "survival", tree = "tree", kknn = "kknn", lmerMod = "lme4", glmerMod = "lme4", ksvm = "kernlab", Arima = "forecast",
  ets = "forecast", model_fit = "parsnip", workflow = "workflows", lgb.Booster = "lightgbm", cforest = "party", party = "partykit",
  constparty = "partykit", NaiveBayes = "klaR", loess = "stats", prophet = "prophet", crate = "carrier"
)

# A condition of its own class: Python asks which package is missing.
lacks_package <- function(package, class) {
  stop(errorCondition(package, class = "lacks_package", model = class, call = NULL))
}

open_object <- function(path) {
  if (!grepl("\\.(rdata|rda)$", tolower(path))) {
    head <- tryCatch(suppressWarnings(readRDS(path)), error = function(condition) condition)
    if (!inherits(head, "error")) return(head)
    if (grepl("\\.rds$", tolower(path))) stop(conditionMessage(head), call. = FALSE)
  }
  place <- new.env()
  names <- load(path, envir = place)
  chosen <- if (length(names) == 1L) names else if ("model" %in% names) "model" else names[vapply(mget(names, place), can_predict, NA)]
  if (length(chosen) != 1L)
    stop("the file holds several objects (", paste(sort(names), collapse = ", "), ") and none called model", call. = FALSE)
  get(chosen, place)
}

can_predict <- function(object) {
  is.function(object) || any(vapply(class(object), function(name) !is.null(getS3method("predict", name, TRUE)) || name %in% names(PACKAGES), NA))
}

# The packages are attached: a formula may name functions of theirs.
attach_packages <- function(model) {
  wanted <- unname(PACKAGES[intersect(class(model), names(PACKAGES))])
  if (isS4(model)) wanted <- c(wanted, attr(class(model), "package"))
  if (inherits(model, "train")) wanted <- c(wanted, model$modelInfo$library)
  if (!length(wanted) && !has_method(model)) wanted <- Filter(function(name) nzchar(system.file(package = name)), class(model))
  for (package in unique(wanted)) {
    if (package %in% c(".GlobalEnv", "methods")) next
    if (!nzchar(system.file(package = package))) lacks_package(package, class(model)[1L])
    suppressPackageStartupMessages(library(package, character.only = TRUE))
  }
  if (!is.function(model) && !has_method(model))
    stop("the file holds a ", class(model)[1L], ", which has no method for predict", call. = FALSE)
}

has_method <- function(model) {
  if (isS4(model)) return(existsMethod("predict", class(model)) || has_s3_method(is(model)) || has_s3_method(class(model)))
  has_s3_method(class(model))
}

has_s3_method <- function(classes) any(vapply(classes, function(name) !is.null(getS3method("predict", name, TRUE)), NA))
