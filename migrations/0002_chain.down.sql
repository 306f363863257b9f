DROP TABLE observation;
DROP TABLE tip;
