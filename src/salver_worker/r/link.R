# What travels between Python and R: numbers, whole numbers, logicals and text, by two pipes. Base R only.
#
# A question: an operation, then what belongs to it. An answer: a status, then a list of named values.
# A value: name, type, how many dimensions, the dimensions, the elements, the first dimension next to each other.

OK <- 0L
FAILED <- 1L
REFUSED <- 2L # the caller's mistake
CANCELLED <- 3L
TYPES <- c(double = 0L, integer = 1L, logical = 2L, character = 3L)

open_link <- function(questions, answers) {
  list(
    questions = file(paste0("/dev/fd/", questions), open = "rb", raw = TRUE),
    answers = file(paste0("/dev/fd/", answers), open = "wb", raw = TRUE)
  )
}

read_integers <- function(link, count) readBin(link$questions, "integer", count, size = 4L, endian = "little")
read_doubles <- function(link, count) readBin(link$questions, "double", count, size = 8L, endian = "little")
read_texts <- function(link, count) {
  texts <- readBin(link$questions, "character", count)
  Encoding(texts) <- "UTF-8"
  texts
}

write_answer <- function(link, status, values) {
  out <- link$answers
  writeBin(c(status, length(values)), out, size = 4L, endian = "little")
  for (name in names(values)) write_value(out, name, values[[name]])
  flush(out)
}

write_value <- function(out, name, value) {
  dimensions <- dim(value)
  if (is.null(dimensions)) dimensions <- length(value)
  writeBin(enc2utf8(name), out, useBytes = TRUE)
  head <- c(TYPES[[typeof(value)]], length(dimensions), dimensions)
  if (is.character(value)) {
    value <- enc2utf8(value)
    head <- c(head, as.integer(sum(nchar(value, "bytes")) + length(value)))
  }
  writeBin(as.integer(head), out, size = 4L, endian = "little")
  if (is.character(value)) writeBin(as.vector(value), out, useBytes = TRUE)
  else if (is.double(value)) writeBin(as.vector(value), out, size = 8L, endian = "little")
  else writeBin(as.integer(value), out, size = 4L, endian = "little")
}

# A plain vector or matrix of one of the four types. NA is a number that is none; other types have no such value.
plain <- function(name, value) {
  if (is.factor(value) || inherits(value, c("Date", "POSIXt"))) value <- as.character(value)
  if (is.data.frame(value)) value <- as.matrix(value)
  if (!is.atomic(value) || is.null(value) || !(typeof(value) %in% names(TYPES)))
    stop("the output ", name, " is a ", class(value)[1L], ", which is neither numbers nor text", call. = FALSE)
  if (!is.double(value) && anyNA(value))
    stop("the output ", name, " has NA, which only numbers can tell", call. = FALSE)
  size <- dim(value)
  value <- as.vector(value)
  dim(value) <- if (length(size) > 1L) size
  value
}
