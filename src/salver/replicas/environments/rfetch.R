# Downloads each file of wanted.txt from the first of its addresses that has it. A row: the file, then the addresses.
options(timeout = 600, warn = 1)
missing <- FALSE
for (row in strsplit(readLines("wanted.txt"), "\t", fixed = TRUE)) {
  said <- character()
  for (address in row[-1]) {
    problem <- tryCatch({
      download.file(address, row[1], mode = "wb", quiet = TRUE)
      ""
    }, warning = conditionMessage, error = conditionMessage)
    if (!nzchar(problem)) break
    unlink(row[1])
    said <- c(said, problem)
  }
  if (file.exists(row[1])) {
    cat("Downloaded", row[1], "\n")
  } else {
    missing <- TRUE
    cat(paste0("missing ", row[1], ": ", said, "\n"), sep = "")
  }
}
quit(status = if (missing) 1L else 0L)
