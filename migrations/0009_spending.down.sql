DROP TABLE spending;
DROP TABLE holds;
